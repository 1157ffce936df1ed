"""Sounds of every kind, and each step of the features against plain loops, SciPy, NumPy and hand cases."""

import numpy as np
import pytest
import soundfile
from scipy.fft import dct

from fusebook import audio


def tone(frequency=440.0, *, rate=16_000, seconds=0.5, height=0.5):
    return height * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)


def noise(n_samples, *, seed=0, height=0.1):
    return (np.random.default_rng(seed).normal(size=n_samples) * height).astype(np.float32)


def loudest(samples, rate=16_000):
    """The frequency with the most energy, in Hz."""
    energy = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return np.fft.rfftfreq(len(samples), 1 / rate)[energy.argmax()]


# --- Reading ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "subtype", "within"),
    [
        ("a.wav", "PCM_U8", 1 / 100),
        ("a.wav", "PCM_16", 1 / 30_000),
        ("a.wav", "PCM_24", 1 / 8_000_000),
        ("a.wav", "FLOAT", 1e-7),
        ("a.wav", "DOUBLE", 1e-7),
        ("a.flac", "PCM_16", 1 / 30_000),
        ("a.ogg", "VORBIS", 0.05),
    ],
)
def test_formats(tmp_path, name, subtype, within):
    samples = tone(440)
    soundfile.write(tmp_path / name, samples, 16_000, subtype=subtype)
    assert audio.check_audio(tmp_path / name) == ""
    read = audio.read_audio(tmp_path / name)
    assert read.dtype == np.float32
    assert read.shape == samples.shape
    np.testing.assert_allclose(read, samples, atol=within)


def test_channels_are_averaged(tmp_path):
    left, right = tone(440), tone(1000, height=0.3)
    soundfile.write(tmp_path / "a.wav", np.column_stack([left, right]), 16_000, subtype="FLOAT")
    assert audio.check_audio(tmp_path / "a.wav") == ""
    np.testing.assert_allclose(audio.read_audio(tmp_path / "a.wav"), (left + right) / 2, atol=1e-6)


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_resampling_keeps_pitch_loudness_and_length(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", tone(1200, rate=rate, seconds=1), rate, subtype="FLOAT")
    assert audio.check_audio(tmp_path / "a.wav") == ""
    read = audio.read_audio(tmp_path / "a.wav")
    assert abs(len(read) - 16_000) <= 1
    assert loudest(read) == pytest.approx(1200, abs=1)
    middle = read[2000:-2000]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.01)


def test_what_lies_above_the_new_limit_is_cut_not_folded(tmp_path):
    both = tone(1000, rate=96_000) + tone(15_000, rate=96_000)  # 15 kHz would fold to 1 kHz
    soundfile.write(tmp_path / "both.wav", both, 96_000, subtype="FLOAT")
    soundfile.write(tmp_path / "one.wav", tone(1000, rate=96_000), 96_000, subtype="FLOAT")
    both, one = (audio.read_audio(tmp_path / f"{name}.wav")[500:-500] for name in ("both", "one"))
    np.testing.assert_allclose(both, one, atol=1e-3)


# --- What is wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2])
def test_zero_samples(tmp_path, channels):
    soundfile.write(tmp_path / "a.wav", np.empty((0, channels)), 16_000)
    assert audio.check_audio(tmp_path / "a.wav") == "AUDIO_EMPTY"


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_not_finite(tmp_path, wrong):
    samples = tone()
    samples[77] = wrong
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    assert audio.check_audio(tmp_path / "a.wav") == "AUDIO_NOT_FINITE"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.wav", b"This is no sound.\n" * 50),
        ("bytes.wav", np.random.default_rng(0).bytes(5000)),
        ("bytes.flac", np.random.default_rng(1).bytes(5000)),
        ("page.ogg", b"<html>404</html>"),
        ("empty.wav", b""),
        ("head.wav", b"RIFF\x24\x00\x00\x00WAVE"),
    ],
)
def test_garbage(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert audio.check_audio(tmp_path / name) == "AUDIO_BROKEN"


def test_a_folder_or_nothing_is_told(tmp_path):
    assert audio.check_audio(tmp_path) == "AUDIO_BROKEN"
    assert audio.check_audio(tmp_path / "nothing.wav") == "AUDIO_BROKEN"


def test_any_single_changed_byte_is_told_or_can_be_read(tmp_path):
    rng = np.random.default_rng(0)
    codes = ("", "AUDIO_BROKEN", "AUDIO_TOO_LARGE", "AUDIO_EMPTY", "AUDIO_NOT_FINITE")
    for name in ("a.wav", "a.flac", "a.ogg"):
        soundfile.write(tmp_path / name, tone(seconds=0.1), 16_000)
        whole = (tmp_path / name).read_bytes()
        for place in [*range(48), *rng.integers(0, len(whole), 15)]:
            hurt = bytearray(whole)
            hurt[place] ^= 0xFF
            (tmp_path / name).write_bytes(hurt)
            reason = audio.check_audio(tmp_path / name)
            assert reason in codes, (name, place)
            if not reason:
                assert np.isfinite(audio.summarise(tmp_path / name)).all(), (name, place)


@pytest.mark.parametrize("name", ["a.wav", "f.wav", "a.flac", "a.ogg", "a.aiff", "a.mp3"])
def test_a_file_hurt_anywhere_is_told_or_can_be_read(tmp_path, name):
    """Also where the header promises more samples than fit into memory, or a sample is 1e38."""
    rng = np.random.default_rng(0)
    subtype = "FLOAT" if name == "f.wav" else None
    soundfile.write(tmp_path / name, tone(seconds=0.05), 16_000, subtype=subtype)
    whole = (tmp_path / name).read_bytes()
    for _ in range(100):
        hurt = bytearray(whole)
        for _ in range(rng.integers(1, 6)):
            place = int(rng.integers(min(len(hurt), rng.choice([64, 256, len(hurt)]))))
            hurt[place : place + int(rng.integers(0, 4))] = rng.bytes(int(rng.integers(0, 4)))
        (tmp_path / name).write_bytes(hurt)
        reason = audio.check_audio(tmp_path / name)
        assert reason in ("", "AUDIO_BROKEN", "AUDIO_TOO_LARGE", "AUDIO_EMPTY", "AUDIO_NOT_FINITE")
        if not reason:
            assert np.isfinite(audio.summarise(tmp_path / name)).all()
            assert np.isfinite(list(audio.audio_facts(tmp_path / name).values())).all()


@pytest.mark.parametrize("factor", [1.0, 2.0**15, 2.0**31, 1e11])
def test_float_samples_of_any_scale_have_features(tmp_path, factor):
    """Programs write whole numbers as floats, too: 32,768 for full scale."""
    soundfile.write(tmp_path / "a.wav", factor * tone(), 16_000, subtype="FLOAT")
    assert audio.check_audio(tmp_path / "a.wav") == ""
    assert np.isfinite(audio.summarise(tmp_path / "a.wav")).all()
    assert np.isfinite(list(audio.audio_facts(tmp_path / "a.wav").values())).all()


@pytest.mark.parametrize("height", [1e13, 1e20, 3e38])
def test_samples_that_are_far_too_large_are_told(tmp_path, height):
    samples = tone()
    samples[77] = height
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    assert audio.check_audio(tmp_path / "a.wav") == "AUDIO_NOT_FINITE"


def test_too_many_samples_are_refused_before_decoding(tmp_path, monkeypatch):
    path = tmp_path / "a.flac"
    soundfile.write(path, tone(seconds=0.1), 16_000)
    whole = bytearray(path.read_bytes())
    whole[21:26] = bytes([whole[21] & 0xF0 | 0x0F]) + b"\xff\xff\xff\xff"  # how many samples, in STREAMINFO
    path.write_bytes(whole)
    assert soundfile.info(path).frames > 10**10
    assert audio.check_audio(path) == "AUDIO_TOO_LARGE"
    soundfile.write(tmp_path / "a.wav", np.zeros((100, 2)), 16_000)
    soundfile.write(tmp_path / "slow.wav", np.zeros(100), 1)  # 1.6 million samples at 16 kHz
    for name, most in (("a.wav", 200), ("slow.wav", 1_600_000)):
        monkeypatch.setattr(audio, "MOST_SAMPLES", most)
        assert audio.check_audio(tmp_path / name) == ""
        monkeypatch.setattr(audio, "MOST_SAMPLES", most - 1)
        assert audio.check_audio(tmp_path / name) == "AUDIO_TOO_LARGE"


# --- Mel bands and MFCC -------------------------------------------------------------------------------


def filters_by_hand(n_mels):
    """Triangles from the formula, one number at a time."""
    lowest, highest = 2595 * np.log10(1 + 20 / 700), 2595 * np.log10(1 + 8000 / 700)
    edges = []
    for i in range(n_mels + 2):
        mel = lowest + (highest - lowest) * i / (n_mels + 1)
        edges.append(700 * (10 ** (mel / 2595) - 1))
    made = np.zeros((n_mels, 257))
    for m in range(n_mels):
        left, centre, right = edges[m : m + 3]
        for k in range(257):
            frequency = k * 16_000 / 512
            if left < frequency <= centre:
                made[m, k] = (frequency - left) / (centre - left)
            elif centre < frequency < right:
                made[m, k] = (right - frequency) / (right - centre)
    return made, edges


def log_mel_by_hand(samples, n_mels):
    filters, _ = filters_by_hand(n_mels)
    samples = list(samples) + [0.0] * max(0, 400 - len(samples))
    window = [0.5 - 0.5 * np.cos(2 * np.pi * i / 399) for i in range(400)]
    rows = []
    for start in range(0, len(samples) - 399, 160):
        frame = np.array([samples[start + i] * window[i] for i in range(400)] + [0.0] * 112)
        spectrum = np.fft.fft(frame)[:257]
        power = spectrum.real**2 + spectrum.imag**2
        rows.append([10 * np.log10((power * band).sum() + 1e-10) for band in filters])
    return np.array(rows)


@pytest.mark.parametrize("n_mels", [20, 26, 40])
def test_mel_filters_against_loops(n_mels):
    filters = audio.mel_filters(n_mels)
    by_hand, _ = filters_by_hand(n_mels)
    assert filters.shape == (n_mels, 257)
    np.testing.assert_allclose(filters, by_hand, atol=1e-5)
    assert filters.min() >= 0
    assert filters.max() <= 1
    assert (filters.sum(axis=1) > 0).all()  # no empty band


def test_neighbouring_filters_add_up_to_one():
    _, edges = filters_by_hand(40)
    frequencies = np.arange(257) * 16_000 / 512
    inside = (frequencies >= edges[1]) & (frequencies <= edges[-2])
    np.testing.assert_allclose(audio.mel_filters(40).sum(axis=0)[inside], 1, atol=1e-5)


@pytest.mark.parametrize("n_samples", [1, 100, 399, 400, 401, 559, 560, 4000])
def test_log_mel_against_loops(n_samples):
    samples = noise(n_samples) + tone(700, seconds=1)[:n_samples].astype(np.float32)
    made = audio.log_mel(samples, 40)
    by_hand = log_mel_by_hand(samples, 40)
    assert made.shape == by_hand.shape == (1 + max(0, n_samples - 400) // 160, 40)
    np.testing.assert_allclose(made, by_hand, atol=0.01)  # decibels


def test_silence_is_finite():
    np.testing.assert_allclose(audio.log_mel(np.zeros(1600, np.float32)), -100, atol=1e-4)


def test_mfcc_against_scipy():
    samples = noise(4000)
    made = audio.mfcc(samples, 20)
    by_hand = dct(log_mel_by_hand(samples, 40), type=2, norm="ortho", axis=1)[:, :20]
    assert made.shape == (23, 20)
    np.testing.assert_allclose(made, by_hand, atol=0.01)


def test_first_coefficient_is_the_level():
    """Ten times the height is 20 dB more in each band: coefficient 0 rises by 20 √40, the rest stays."""
    samples = noise(4000)
    difference = audio.mfcc(10 * samples) - audio.mfcc(samples)
    np.testing.assert_allclose(difference[:, 0], 20 * np.sqrt(40), atol=0.01)
    np.testing.assert_allclose(difference[:, 1:], 0, atol=0.01)


@pytest.mark.parametrize("frequency", [100, 440, 1000, 2500, 5000, 7500])
def test_a_tone_lies_in_the_band_of_its_frequency(frequency):
    bands = audio.log_mel(tone(frequency).astype(np.float32)).mean(axis=0)
    _, edges = filters_by_hand(40)
    loudest_band = int(bands.argmax())
    assert edges[loudest_band] < frequency < edges[loudest_band + 2]
    assert np.median(bands) < bands.max() - 30


def test_deltas_are_slopes_over_nine_frames():
    track = np.random.default_rng(0).normal(size=(30, 3))
    held = np.vstack([track[:1]] * 4 + [track] + [track[-1:]] * 4)  # the ends are held
    slopes = np.array([np.polyfit(np.arange(9), held[i : i + 9], 1)[0] for i in range(30)])
    made = audio.deltas(track)
    assert made.shape == track.shape
    np.testing.assert_allclose(made, slopes, atol=1e-12)


def test_deltas_of_a_line_and_of_one_frame():
    line = np.arange(20.0)[:, None] * [2.0, -0.5]
    np.testing.assert_allclose(audio.deltas(line)[4:-4], [[2.0, -0.5]] * 12)
    np.testing.assert_allclose(audio.deltas(np.ones((1, 20))), 0, atol=1e-12)


def test_summary_is_mean_and_spread_of_three_tracks(tmp_path):
    samples = noise(8000, seed=2)
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    made = audio.summarise(str(tmp_path / "a.wav"))
    assert made.shape == (120,)
    assert made.dtype == np.float32
    tracks = [audio.mfcc(samples)]
    for _ in range(2):
        held = np.vstack([tracks[-1][:1]] * 4 + [tracks[-1]] + [tracks[-1][-1:]] * 4)
        frames = range(len(tracks[0]))
        tracks.append(np.array([np.polyfit(np.arange(9), held[i : i + 9], 1)[0] for i in frames]))
    means = np.concatenate([track.mean(axis=0) for track in tracks])
    spreads = np.concatenate([track.std(axis=0) for track in tracks])
    np.testing.assert_allclose(made, np.concatenate([means, spreads]), atol=1e-3)


@pytest.mark.parametrize("n_samples", [1, 3, 399, 401])
@pytest.mark.parametrize("rate", [4_000, 16_000, 96_000])
def test_very_short_sounds_have_features(tmp_path, n_samples, rate):
    soundfile.write(tmp_path / "a.wav", noise(n_samples), rate)
    assert audio.check_audio(tmp_path / "a.wav") == ""
    assert np.isfinite(audio.summarise(str(tmp_path / "a.wav"))).all()


# --- Facts --------------------------------------------------------------------------------------------


def test_facts_of_a_full_scale_sine(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(1000, rate=8000, seconds=1.5, height=1), 8000, subtype="FLOAT")
    facts = audio.audio_facts(tmp_path / "a.wav")
    assert facts["rate"] == 8000
    assert facts["seconds"] == 1.5
    assert facts["loudness"] == pytest.approx(-3.0103, abs=1e-3)  # 20 log10 of 1/√2
    assert facts["clipped"] == 0.25  # of its eight samples a period, +1 and -1


def test_facts_of_a_square_wave_and_of_silence(tmp_path):
    samples = np.tile([0.1, -0.1], 500)
    samples[:50] = 1.0
    samples[50:100] = -1.0
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    facts = audio.audio_facts(tmp_path / "a.wav")
    assert facts["clipped"] == pytest.approx(0.1)
    assert facts["loudness"] == pytest.approx(10 * np.log10(0.1 * 1 + 0.9 * 0.01), abs=1e-4)
    soundfile.write(tmp_path / "b.wav", np.zeros(800), 16_000)
    assert audio.audio_facts(tmp_path / "b.wav") == {
        "rate": 16_000, "seconds": 0.05, "loudness": pytest.approx(-200), "clipped": 0.0,
    }  # fmt: skip


def test_facts_of_stereo(tmp_path):
    both = np.column_stack([np.full(100, 0.5), np.zeros(100)])
    soundfile.write(tmp_path / "a.wav", both, 16_000, subtype="FLOAT")
    facts = audio.audio_facts(tmp_path / "a.wav")
    assert facts["seconds"] == 100 / 16_000
    assert facts["loudness"] == pytest.approx(10 * np.log10(0.125), abs=1e-4)


# --- The encoder --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """30 noisy tones of two pitches at three rates; every seventh is missing."""
    folder = tmp_path_factory.mktemp("sounds")
    paths = []
    for i in range(30):
        rate = [8000, 16_000, 44_100][i % 3]
        samples = tone([400, 1500][i % 2], rate=rate, height=0.3)
        soundfile.write(folder / f"{i}.wav", samples + noise(len(samples), seed=i, height=0.02), rate)
        paths.append("" if i % 7 == 3 else str(folder / f"{i}.wav"))
    return paths


def test_training_rows_have_mean_0_and_spread_1(sounds):
    encoder = audio.AudioEncoder()
    assert encoder.fit(sounds) is encoder
    features = encoder.transform([path for path in sounds if path])
    assert features.shape == (26, 120)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(features.std(axis=0), 1, atol=1e-3)


def test_features_are_the_standardised_summaries(sounds):
    train, rest = sounds[:20], [path for path in sounds[20:] if path]
    made = np.array([audio.summarise(path) for path in train if path], np.float64)
    by_hand = (np.array([audio.summarise(path) for path in rest]) - made.mean(axis=0)) / made.std(axis=0)
    np.testing.assert_allclose(audio.AudioEncoder().fit(train).transform(rest), by_hand, atol=2e-3, rtol=1e-3)


def test_missing_sounds_give_zeros(sounds):
    encoder = audio.AudioEncoder().fit(sounds)
    features = encoder.transform(sounds)
    missing = np.array([not path for path in sounds])
    assert (features[missing] == 0).all()
    assert (features[~missing] != 0).any(axis=1).all()
    assert (encoder.transform(["", ""]) == np.zeros((2, 120))).all()
    assert encoder.transform([]).shape == (0, 120)


@pytest.mark.parametrize("times", [1, 3])
def test_what_is_constant_in_training_is_centred_not_blown_up(sounds, times):
    encoder = audio.AudioEncoder().fit([sounds[0]] * times)
    np.testing.assert_allclose(encoder.transform([sounds[0]]), 0, atol=1e-6)
    difference = audio.summarise(sounds[1]) - audio.summarise(sounds[0])
    np.testing.assert_allclose(encoder.transform([sounds[1]])[0], difference, atol=1e-3)


def test_no_training_sound_is_told():
    with pytest.raises(ValueError, match=r"No training row has a sound\. Leave the audio column out"):
        audio.AudioEncoder().fit(["", ""])


def test_save_and_load_give_the_same_features(sounds, tmp_path):
    encoder = audio.AudioEncoder().fit(sounds[:20])
    encoder.save(tmp_path / "new" / "folder")
    assert [file.name for file in (tmp_path / "new" / "folder").iterdir()] == ["audio.npz"]
    loaded = audio.AudioEncoder.load(tmp_path / "new" / "folder")
    np.testing.assert_array_equal(loaded.transform(sounds), encoder.transform(sounds))
