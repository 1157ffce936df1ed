"""The audio encoder on noisy tones: MFCC and CNN."""

import numpy as np
import pytest
import soundfile

from fusebook.encoders import audio


def tone(frequency=440.0, *, rate=16_000, seconds=0.5, height=0.5):
    return height * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)


def noise(n_samples, *, seed=0, height=0.1):
    return (np.random.default_rng(seed).normal(size=n_samples) * height).astype(np.float32)


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


# --- The CNN ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(sounds):
    labels = np.arange(30) % 2
    encoder = audio.AudioEncoder("cnn", epochs=6)
    return encoder.fit(sounds[:22], labels[:22], validation=(sounds[22:], labels[22:]))


def test_cnn_features_tell_two_pitches_apart(sounds, trained):
    labels = np.arange(30) % 2
    features = trained.transform(sounds)
    assert features.shape == (30, 64)
    assert features.dtype == np.float32
    there = np.array([bool(path) for path in sounds])
    assert (features[~there] == 0).all()
    learn, rest = there & (np.arange(30) < 22), there & (np.arange(30) >= 22)
    centres = np.stack([features[learn & (labels == k)].mean(axis=0) for k in (0, 1)])
    distances = np.linalg.norm(features[rest][:, None] - centres, axis=2)
    assert (distances.argmin(axis=1) == labels[rest]).all()
    np.testing.assert_allclose(features[learn].mean(axis=0), 0, atol=1e-3)
    assert set(trained.history_) == {"loss", "accuracy", "val_loss", "val_accuracy"}


def test_cnn_save_and_load(sounds, trained, tmp_path):
    trained.save(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["audio.keras", "audio.npz"]
    loaded = audio.AudioEncoder.load(tmp_path)
    np.testing.assert_allclose(loaded.transform(sounds), trained.transform(sounds), atol=1e-4)


def test_what_the_cnn_needs_is_told(sounds):
    with pytest.raises(ValueError, match=r"The CNN got no labels; expected a class number a row"):
        audio.AudioEncoder("cnn").fit(sounds)
    with pytest.raises(ValueError, match=r"The audio features are 'wave'; expected one of mfcc, cnn"):
        audio.AudioEncoder("wave")
