"""Sounds of every kind: read as they are heard, told what is wrong, facts against hand cases."""

import numpy as np
import pytest
import soundfile

from fusebook.data import files
from fusebook.encoders.audio import summarise


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
    assert files.check_audio(tmp_path / name) == ""
    read = files.read_audio(tmp_path / name)
    assert read.dtype == np.float32
    assert read.shape == samples.shape
    np.testing.assert_allclose(read, samples, atol=within)


def test_mp3(tmp_path):
    """Its encoder may put silence before the sound, so pitch, loudness and length are compared."""
    soundfile.write(tmp_path / "a.mp3", tone(440, seconds=1), 16_000)
    assert files.check_audio(tmp_path / "a.mp3") == ""
    read = files.read_audio(tmp_path / "a.mp3")
    assert len(read) == pytest.approx(16_000, abs=2500)
    assert loudest(read) == pytest.approx(440, abs=2)
    assert np.sqrt(np.mean(read[3000:13_000] ** 2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.03)


def test_channels_are_averaged(tmp_path):
    left, right = tone(440), tone(1000, height=0.3)
    soundfile.write(tmp_path / "a.wav", np.column_stack([left, right]), 16_000, subtype="FLOAT")
    assert files.check_audio(tmp_path / "a.wav") == ""
    np.testing.assert_allclose(files.read_audio(tmp_path / "a.wav"), (left + right) / 2, atol=1e-6)


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_resampling_keeps_pitch_loudness_and_length(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", tone(1200, rate=rate, seconds=1), rate, subtype="FLOAT")
    assert files.check_audio(tmp_path / "a.wav") == ""
    read = files.read_audio(tmp_path / "a.wav")
    assert abs(len(read) - 16_000) <= 1
    assert loudest(read) == pytest.approx(1200, abs=1)
    middle = read[2000:-2000]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.01)


def test_what_lies_above_the_new_limit_is_cut_not_folded(tmp_path):
    both = tone(1000, rate=96_000) + tone(15_000, rate=96_000)  # 15 kHz would fold to 1 kHz
    soundfile.write(tmp_path / "both.wav", both, 96_000, subtype="FLOAT")
    soundfile.write(tmp_path / "one.wav", tone(1000, rate=96_000), 96_000, subtype="FLOAT")
    both, one = (files.read_audio(tmp_path / f"{name}.wav")[500:-500] for name in ("both", "one"))
    np.testing.assert_allclose(both, one, atol=1e-3)


# --- What is wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2])
def test_zero_samples(tmp_path, channels):
    soundfile.write(tmp_path / "a.wav", np.empty((0, channels)), 16_000)
    assert files.check_audio(tmp_path / "a.wav") == "AUDIO_EMPTY"


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_not_finite(tmp_path, wrong):
    samples = tone()
    samples[77] = wrong
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    assert files.check_audio(tmp_path / "a.wav") == "AUDIO_NOT_FINITE"


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
    assert files.check_audio(tmp_path / name) == "AUDIO_BROKEN"


def test_a_folder_or_nothing_is_told(tmp_path):
    assert files.check_audio(tmp_path) == "AUDIO_BROKEN"
    assert files.check_audio(tmp_path / "nothing.wav") == "AUDIO_BROKEN"


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
            reason = files.check_audio(tmp_path / name)
            assert reason in codes, (name, place)
            if not reason:
                assert np.isfinite(summarise(tmp_path / name)).all(), (name, place)


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
        reason = files.check_audio(tmp_path / name)
        assert reason in ("", "AUDIO_BROKEN", "AUDIO_TOO_LARGE", "AUDIO_EMPTY", "AUDIO_NOT_FINITE")
        if not reason:
            assert np.isfinite(summarise(tmp_path / name)).all()
            assert np.isfinite(list(files.audio_facts(tmp_path / name).values())).all()


@pytest.mark.parametrize("factor", [1.0, 2.0**15, 2.0**31, 1e11])
def test_float_samples_of_any_scale_have_features(tmp_path, factor):
    """Programs write whole numbers as floats, too: 32,768 for full scale."""
    soundfile.write(tmp_path / "a.wav", factor * tone(), 16_000, subtype="FLOAT")
    assert files.check_audio(tmp_path / "a.wav") == ""
    assert np.isfinite(summarise(tmp_path / "a.wav")).all()
    assert np.isfinite(list(files.audio_facts(tmp_path / "a.wav").values())).all()


@pytest.mark.parametrize("height", [1e13, 1e20, 3e38])
def test_samples_that_are_far_too_large_are_told(tmp_path, height):
    samples = tone()
    samples[77] = height
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    assert files.check_audio(tmp_path / "a.wav") == "AUDIO_NOT_FINITE"


def test_too_many_samples_are_refused_before_decoding(tmp_path, monkeypatch):
    path = tmp_path / "a.flac"
    soundfile.write(path, tone(seconds=0.1), 16_000)
    whole = bytearray(path.read_bytes())
    whole[21:26] = bytes([whole[21] & 0xF0 | 0x0F]) + b"\xff\xff\xff\xff"  # how many samples, in STREAMINFO
    path.write_bytes(whole)
    assert soundfile.info(path).frames > 10**10
    assert files.check_audio(path) == "AUDIO_TOO_LARGE"
    soundfile.write(tmp_path / "a.wav", np.zeros((100, 2)), 16_000)
    soundfile.write(tmp_path / "slow.wav", np.zeros(100), 1)  # 1.6 million samples at 16 kHz
    for name, most in (("a.wav", 200), ("slow.wav", 1_600_000)):
        monkeypatch.setattr(files, "MOST_SAMPLES", most)
        assert files.check_audio(tmp_path / name) == ""
        monkeypatch.setattr(files, "MOST_SAMPLES", most - 1)
        assert files.check_audio(tmp_path / name) == "AUDIO_TOO_LARGE"


# --- Facts --------------------------------------------------------------------------------------------


def test_facts_of_a_full_scale_sine(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(1000, rate=8000, seconds=1.5, height=1), 8000, subtype="FLOAT")
    facts = files.audio_facts(tmp_path / "a.wav")
    assert facts["rate"] == 8000
    assert facts["seconds"] == 1.5
    assert facts["loudness"] == pytest.approx(-3.0103, abs=1e-3)  # 20 log10 of 1/√2
    assert facts["clipped"] == 0.25  # of its eight samples a period, +1 and -1


def test_facts_of_a_square_wave_and_of_silence(tmp_path):
    samples = np.tile([0.1, -0.1], 500)
    samples[:50] = 1.0
    samples[50:100] = -1.0
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    facts = files.audio_facts(tmp_path / "a.wav")
    assert facts["clipped"] == pytest.approx(0.1)
    assert facts["loudness"] == pytest.approx(10 * np.log10(0.1 * 1 + 0.9 * 0.01), abs=1e-4)
    soundfile.write(tmp_path / "b.wav", np.zeros(800), 16_000)
    assert files.audio_facts(tmp_path / "b.wav") == {
        "rate": 16_000, "seconds": 0.05, "loudness": pytest.approx(-200), "clipped": 0.0, "silent": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize("rate", [8000, 44_100])
def test_the_silent_share_by_hand(tmp_path, rate):
    """0.2 s of nothing, 0.2 s at -70 dB, 0.6 s at -50 dB: two fifths are below -60 dB."""
    samples = np.concatenate([np.zeros(rate // 5), tone(rate=rate, seconds=0.2), tone(rate=rate, seconds=0.6)])
    samples[rate // 5 : 2 * rate // 5] *= 10 ** (-70 / 20) / (0.5 / np.sqrt(2))
    samples[2 * rate // 5 :] *= 10 ** (-50 / 20) / (0.5 / np.sqrt(2))
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    assert files.audio_facts(tmp_path / "a.wav")["silent"] == pytest.approx(0.4, abs=0.021)


def test_facts_of_stereo(tmp_path):
    both = np.column_stack([np.full(100, 0.5), np.zeros(100)])
    soundfile.write(tmp_path / "a.wav", both, 16_000, subtype="FLOAT")
    facts = files.audio_facts(tmp_path / "a.wav")
    assert facts["seconds"] == 100 / 16_000
    assert facts["loudness"] == pytest.approx(10 * np.log10(0.125), abs=1e-4)
