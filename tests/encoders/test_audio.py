"""Each step from samples to features against plain loops, SciPy, NumPy and hand cases; the encoder on noisy tones."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.fft import dct

from fusebook.data.dataset import Dataset
from fusebook.data.files import check
from fusebook.encoders import audio


def tone(frequency=440.0, *, rate=16_000, seconds=0.5, height=0.5):
    return height * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)


def noise(n_samples, *, seed=0, height=0.1):
    return (np.random.default_rng(seed).normal(size=n_samples) * height).astype(np.float32)


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


def test_mel_filters_against_loops():
    filters, n_mels = audio.mel_filters(), 40
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
    np.testing.assert_allclose(audio.mel_filters().sum(axis=0)[inside], 1, atol=1e-5)


@pytest.mark.parametrize("n_samples", [1, 100, 399, 400, 401, 559, 560, 4000])
def test_log_mel_against_loops(n_samples):
    samples = noise(n_samples) + tone(700, seconds=1)[:n_samples].astype(np.float32)
    made = audio.log_mel(samples)
    by_hand = log_mel_by_hand(samples, 40)
    assert made.shape == by_hand.shape == (1 + max(0, n_samples - 400) // 160, 40)
    np.testing.assert_allclose(made, by_hand, atol=0.01)  # decibels


def test_silence_is_finite():
    np.testing.assert_allclose(audio.log_mel(np.zeros(1600, np.float32)), -100, atol=1e-4)


def test_mfcc_against_scipy():
    samples = noise(4000)
    made = audio.mfcc(audio.log_mel(samples))
    by_hand = dct(log_mel_by_hand(samples, 40), type=2, norm="ortho", axis=1)[:, :20]
    assert made.shape == (23, 20)
    np.testing.assert_allclose(made, by_hand, atol=0.01)


def test_first_coefficient_is_the_level():
    """Ten times the height is 20 dB more in each band: coefficient 0 rises by 20 √40, the rest stays."""
    samples = noise(4000)
    difference = audio.mfcc(audio.log_mel(10 * samples)) - audio.mfcc(audio.log_mel(samples))
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


def levelled_by_hand(samples):
    bands = log_mel_by_hand(samples, 40)
    top = max(max(frame) for frame in bands)
    loud = [number for number, frame in enumerate(bands) if max(frame) >= top - 40]
    return np.array([[max(level - top, -50) for level in frame] for frame in bands[loud[0] : loud[-1] + 1]])


def with_pauses(*, seed=0):
    """A soft room, a falling tone, a gap, noise, and the soft room again."""
    samples = noise(16_000, seed=seed, height=1e-5)
    samples[3200:7200] += tone(900, seconds=0.25) * np.linspace(1, 0.3, 4000)
    samples[9600:12_800] += noise(3200, seed=seed + 1)
    return samples.astype(np.float32)


def test_levels_against_loops():
    made, by_hand = audio.levelled(audio.log_mel(with_pauses())), levelled_by_hand(with_pauses())
    assert made.shape == by_hand.shape
    assert 55 < len(made) < 65  # 9,600 samples from the first sound to the end of the last are 60 steps
    assert made.max() == 0 and made.min() == -50
    np.testing.assert_allclose(made, by_hand, atol=0.01)


@pytest.mark.parametrize("gain", [0.01, 30.0])
def test_features_do_not_depend_on_the_recording_level(tmp_path, gain):
    for name, samples in (("a", with_pauses()), ("b", gain * with_pauses())):
        soundfile.write(tmp_path / f"{name}.wav", samples, 16_000, subtype="FLOAT")
    first, second = (audio.summarise(tmp_path / f"{name}.wav") for name in "ab")
    np.testing.assert_allclose(second, first, atol=0.05)


def test_features_do_not_depend_on_pauses_before_and_after(tmp_path):
    """A pause of whole steps of 10 ms, so that the windows lie alike."""
    samples, room = with_pauses(), noise(16_000, seed=9, height=1e-5)
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    soundfile.write(tmp_path / "b.wav", np.concatenate([room, samples, room]), 16_000, subtype="FLOAT")
    first, second = (audio.summarise(tmp_path / f"{name}.wav") for name in "ab")
    np.testing.assert_allclose(second, first, atol=0.05)


def test_silence_has_features(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(8000), 16_000)
    assert (audio.summarise(tmp_path / "a.wav") == 0).all()
    assert (audio.mel_picture(tmp_path / "a.wav") == 255).all()  # each band is as loud as the loudest


def test_means_of_stretches_by_hand():
    track = np.arange(12.0)[:, None] * [1, 10]
    np.testing.assert_allclose(audio.stretch_means(track, 3), [[1.5, 15], [5.5, 55], [9.5, 95]])
    np.testing.assert_allclose(audio.stretch_means(track, 1), [[5.5, 55]])
    np.testing.assert_allclose(audio.stretch_means(track[:2], 4), [[0, 0], [0, 0], [1, 10], [1, 10]])
    np.testing.assert_allclose(audio.stretch_means(track[:1], 5), [[0, 0]] * 5)


@pytest.mark.parametrize("n_frames", [1, 2, 3, 7, 64, 65, 1000])
def test_means_of_stretches_against_slices(n_frames):
    track = np.random.default_rng(n_frames).normal(size=(n_frames, 4))
    for n_stretches in (1, 3, 64):
        edges = [i * n_frames // n_stretches for i in range(n_stretches + 1)]
        expected = [track[a : max(b, a + 1)].mean(axis=0) for a, b in pairwise(edges)]
        np.testing.assert_allclose(audio.stretch_means(track, n_stretches), expected, atol=1e-9)


def test_summary_is_three_means_and_the_spread_of_three_tracks(tmp_path):
    samples = with_pauses(seed=2)
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    made = audio.summarise(str(tmp_path / "a.wav"))
    assert made.shape == (120,)
    assert made.dtype == np.float32
    tracks = [dct(levelled_by_hand(samples), type=2, norm="ortho", axis=1)[:, :20]]
    for _ in range(2):
        held = np.vstack([tracks[-1][:1]] * 4 + [tracks[-1]] + [tracks[-1][-1:]] * 4)
        frames = range(len(tracks[0]))
        tracks.append(np.array([np.polyfit(np.arange(9), held[i : i + 9], 1)[0] for i in frames]))
    n = len(tracks[0])
    means = [tracks[0][i * n // 3 : (i + 1) * n // 3].mean(axis=0) for i in range(3)]
    expected = np.concatenate([*means, *(track.std(axis=0) for track in tracks)])
    np.testing.assert_allclose(made, expected, atol=1e-2)


def test_mel_picture_by_hand(tmp_path):
    soundfile.write(tmp_path / "a.wav", with_pauses(), 16_000, subtype="FLOAT")
    made = audio.mel_picture(tmp_path / "a.wav", 16)
    assert made.shape == (16, 40, 1)
    assert made.dtype == np.uint8
    bands = levelled_by_hand(with_pauses())
    stretches = [bands[i * len(bands) // 16 : (i + 1) * len(bands) // 16].mean(axis=0) for i in range(16)]
    np.testing.assert_allclose(made[..., 0], (np.array(stretches) + 50) / 50 * 255, atol=0.6)


@pytest.mark.parametrize("n_samples", [1, 3, 399, 401])
@pytest.mark.parametrize("rate", [4_000, 16_000, 96_000])
def test_very_short_sounds_have_features(tmp_path, n_samples, rate):
    soundfile.write(tmp_path / "a.wav", noise(n_samples), rate)
    assert check("audio", tmp_path / "a.wav") == ""
    assert np.isfinite(audio.summarise(str(tmp_path / "a.wav"))).all()


# --- The encoder --------------------------------------------------------------------------------------

LABELS = np.arange(30) % 2


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
    assert encoder.fit(sounds, LABELS) is encoder
    features = encoder.transform([path for path in sounds if path])
    assert features.shape == (26, 120)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(features.std(axis=0), 1, atol=1e-3)


def test_features_are_the_standardised_summaries(sounds):
    train, rest = sounds[:20], [path for path in sounds[20:] if path]
    made = np.array([audio.summarise(path) for path in train if path], np.float64)
    by_hand = (np.array([audio.summarise(path) for path in rest]) - made.mean(axis=0)) / made.std(axis=0)
    np.testing.assert_allclose(
        audio.AudioEncoder().fit(train, LABELS[:20]).transform(rest), by_hand, atol=2e-3, rtol=1e-3
    )


def test_missing_sounds_give_zeros(sounds):
    encoder = audio.AudioEncoder().fit(sounds, LABELS)
    features = encoder.transform(sounds)
    missing = np.array([not path for path in sounds])
    assert (features[missing] == 0).all()
    assert (features[~missing] != 0).any(axis=1).all()
    assert (encoder.transform(["", ""]) == np.zeros((2, 120))).all()
    assert encoder.transform([]).shape == (0, 120)


@pytest.mark.parametrize("times", [1, 3])
def test_what_is_constant_in_training_is_centred_not_blown_up(sounds, times):
    encoder = audio.AudioEncoder().fit([sounds[0]] * times, [0] * times)
    np.testing.assert_allclose(encoder.transform([sounds[0]]), 0, atol=1e-6)
    difference = audio.summarise(sounds[1]) - audio.summarise(sounds[0])
    np.testing.assert_allclose(encoder.transform([sounds[1]])[0], difference, atol=1e-3)


def test_no_training_sound_is_told():
    with pytest.raises(ValueError, match=r"No training row has a sound\. Leave the audio column out"):
        audio.AudioEncoder().fit(["", ""], [0, 1])


def test_save_and_load_give_the_same_features(sounds, tmp_path):
    encoder = audio.AudioEncoder().fit(sounds[:20], LABELS[:20])
    encoder.save(tmp_path / "new" / "folder")
    assert [file.name for file in (tmp_path / "new" / "folder").iterdir()] == ["audio.npz"]
    loaded = audio.AudioEncoder.load(tmp_path / "new" / "folder")
    np.testing.assert_array_equal(loaded.transform(sounds), encoder.transform(sounds))


# --- The CNN ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(sounds):
    encoder = audio.AudioEncoder("cnn", epochs=6)
    return encoder.fit(sounds[:22], LABELS[:22], validation=(sounds[22:], LABELS[22:]))


def test_cnn_features_tell_two_pitches_apart(sounds, trained):
    features = trained.transform(sounds)
    assert features.shape == (30, 64)
    assert features.dtype == np.float32
    there = np.array([bool(path) for path in sounds])
    assert (features[~there] == 0).all()
    learn, rest = there & (np.arange(30) < 22), there & (np.arange(30) >= 22)
    centres = np.stack([features[learn & (k == LABELS)].mean(axis=0) for k in (0, 1)])
    distances = np.linalg.norm(features[rest][:, None] - centres, axis=2)
    assert (distances.argmin(axis=1) == LABELS[rest]).all()
    np.testing.assert_allclose(features[learn].mean(axis=0), 0, atol=1e-3)
    assert set(trained.history_) == {"loss", "accuracy", "val_loss", "val_accuracy"}


def test_cnn_save_and_load(sounds, trained, tmp_path):
    trained.save(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["audio.keras", "audio.npz"]
    loaded = audio.AudioEncoder.load(tmp_path)
    np.testing.assert_allclose(loaded.transform(sounds), trained.transform(sounds), atol=1e-4)


def test_without_validation_the_training_loss_is_watched(sounds):
    encoder = audio.AudioEncoder("cnn", epochs=1).fit(sounds[:8], LABELS[:8])
    assert set(encoder.history_) == {"loss", "accuracy"}


def test_unknown_features_are_told():
    with pytest.raises(ValueError, match=r"The audio features are 'wave'; expected one of mfcc, cnn"):
        audio.AudioEncoder("wave")


def test_the_example_is_the_first_training_sound(sounds):
    table = pd.DataFrame({"row": [5, 6, 7, 8], "audio": ["", sounds[0], sounds[1], sounds[2]], "label": list("abab")})
    data = Dataset.of_rows(table.assign(split=["train", "test", "train", "train"]))
    levels, title = audio.mel_example(data)
    assert title == "row 7, a"
    np.testing.assert_array_equal(levels, audio.log_mel(audio.read_audio(sounds[1])))
    none, title = audio.mel_example(Dataset.of_rows(data.rows.assign(audio="")))
    assert none.shape == (0, 40) and title == ""
