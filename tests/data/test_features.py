"""The dict of modalities: which rows have what, features against each encoder alone, and files that come back whole."""

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image
from scipy import sparse

from fusebook.data import features
from fusebook.encoders import saved
from fusebook.encoders.audio import AudioEncoder, summarise
from fusebook.encoders.image import ImageEncoder
from fusebook.encoders.text import TextEncoder
from fusebook.encoders.tokens import tokenise
from fusebook.encoders.vectors import VectorEncoder, train_vectors

WORDS = ["goal team coach 球队", "bank share price 银行"]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """16 rows as ``checks.check_rows`` returns them; some lack the text, some the picture, some the sound, one all."""
    folder = tmp_path_factory.mktemp("media")
    rng = np.random.default_rng(0)
    lines = []
    for i in range(16):
        sound, picture = folder / f"{i}.wav", folder / f"{i}.png"
        tone = np.sin(np.arange(1600) * (0.1 + 0.2 * (i % 2))) + rng.normal(0, 0.1, 1600)
        soundfile.write(sound, 0.4 * tone, 16_000)
        Image.fromarray(rng.integers(0, 200, (8, 8, 3), dtype=np.uint8) + np.uint8(50 * (i % 2))).save(picture)
        text = f"{WORDS[i % 2]} {i}"
        parts = [text if i % 4 else "", str(picture) if i % 3 else "", str(sound) if i % 5 else ""]
        lines.append([i + 1, *parts, "ab"[i % 2]])
    return pd.DataFrame(lines, columns=["row", "text", "image", "audio", "label"], index=range(100, 116))


@pytest.fixture(scope="module")
def encoders(rows):
    labels = np.arange(16) % 2
    there = (rows["text"] != "").to_numpy()
    pictures, texts = rows["image"].tolist(), rows.loc[there, "text"].tolist()
    vectors = VectorEncoder(train_vectors([tokenise(text) for text in texts], dimensions=4))
    return {
        "text": TextEncoder("vectors+ngrams", vectors=vectors, width=9).fit(texts, labels[there]),
        "image": ImageEncoder(size=8, epochs=1).fit(pictures, labels, validation=(pictures[:4], labels[:4])),
        "audio": AudioEncoder().fit(rows["audio"].tolist()),
    }  # fmt: skip


# --- Who has what -------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [["text", "image", "audio"], ["audio", "image", "text"], ["text", "audio"], []])
def test_present_parts_by_hand(rows, asked):
    present = features.present_parts(rows, asked)
    numbers = np.arange(16)
    expected = {"text": numbers % 4 != 0, "image": numbers % 3 != 0, "audio": numbers % 5 != 0}
    assert list(present) == sorted(asked)
    for name, there in present.items():
        assert there.dtype == bool
        np.testing.assert_array_equal(there, expected[name])


@pytest.mark.parametrize(
    ("block", "part"), [("text", "text"), ("text_ngrams", "text"), ("text_weights", "text"), ("audio", "audio")]
)
def test_a_block_belongs_to_a_modality(block, part):
    assert features.modality_of(block) == part


def test_the_blocks_of_a_modality_by_hand():
    blocks = {"audio": 1, "text": 2, "text_ngrams": 3, "text_weights": 4}
    assert features.blocks_of(blocks, "text") == {"text": 2, "text_ngrams": 3, "text_weights": 4}
    assert features.blocks_of(blocks, "audio") == {"audio": 1}
    assert features.blocks_of(blocks, "image") == {}


def test_mask_by_hand():
    blocks = {"audio": np.ones((3, 2), np.float32), "text_ngrams": np.full((3, 1), 7, np.int32)}
    present = {"audio": np.array([True, False, True]), "text": np.array([False, False, True])}
    made = features.mask(blocks, present)
    assert made["audio"].tolist() == [[1, 1], [0, 0], [1, 1]]
    assert made["text_ngrams"].tolist() == [[0], [0], [7]]
    assert {name: values.dtype for name, values in made.items()} == {"audio": "float32", "text_ngrams": "int32"}
    assert (blocks["audio"] == 1).all()


# --- Encoding -----------------------------------------------------------------------------------------

SIZES = {"audio": 120, "image": 64, "text": 4, "text_ngrams": 9, "text_weights": 9}


def shapes(arrays):
    return {name: values.shape for name, values in arrays.items()}


def test_each_modality_is_what_its_encoder_gives_and_zero_where_it_is_missing(rows, encoders):
    made = features.encode_rows(rows, encoders)
    assert shapes(made) == {name: (16, size) for name, size in SIZES.items()}
    for name, values in made.items():
        part = name.split("_")[0]
        there = (rows[part] != "").to_numpy()
        assert values.dtype == (np.int32 if name == "text_ngrams" else np.float32)
        assert (values[~there] == 0).all()
        assert (values[there] != 0).any(axis=1).all()
        alone = encoders[part].transform(rows.loc[there, part].tolist())
        alone = alone[name] if part == "text" else alone
        np.testing.assert_allclose(values[there], alone, atol=1e-4)


def test_sound_features_by_hand(rows, encoders):
    made = features.encode_rows(rows, {"audio": encoders["audio"]})["audio"]
    there = (rows["audio"] != "").to_numpy()
    by_hand = np.array([summarise(path) for path in rows.loc[there, "audio"]], np.float64)
    expected = (by_hand - by_hand.mean(axis=0)) / by_hand.std(axis=0)
    np.testing.assert_allclose(made[there], expected, atol=1e-2)


def test_a_missing_text_is_zero_although_the_encoder_gives_something(rows, encoders):
    assert (encoders["text"].transform([""])["text"] != 0).any()
    made = features.encode_rows(rows.assign(text=""), {"text": encoders["text"]})
    assert list(made) == ["text", "text_ngrams", "text_weights"]
    assert all((values == 0).all() and len(values) == 16 for values in made.values())


def test_the_order_of_encoders_and_rows_does_not_matter(rows, encoders):
    made = features.encode_rows(rows, encoders)
    other = features.encode_rows(rows, dict(reversed(encoders.items())))
    assert list(other) == list(made)
    order = np.random.default_rng(0).permutation(16)
    mixed = features.encode_rows(rows.iloc[order], encoders)
    for name in made:
        np.testing.assert_array_equal(other[name], made[name])
        np.testing.assert_allclose(mixed[name], made[name][order], atol=1e-4)


def test_no_rows_have_no_features(rows, encoders):
    made = features.encode_rows(rows.head(0), encoders)
    assert shapes(made) == {name: (0, size) for name, size in SIZES.items()}


# --- Taking rows --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (np.array([True, False, True, False]), [0, 2]),
        (np.array([3, 0, 0]), [3, 0, 0]),
        (np.array([], int), []),
        (np.zeros(4, bool), []),
        (np.ones(4, bool), [0, 1, 2, 3]),
    ],
)
def test_take_by_hand(chosen, expected):
    arrays = {"text": np.arange(8).reshape(4, 2), "audio": np.array([True, False, True, True])}
    taken = features.take(arrays, chosen)
    assert taken["text"].tolist() == [[2 * i, 2 * i + 1] for i in expected]
    assert taken["audio"].tolist() == [bool(arrays["audio"][i]) for i in expected]
    assert arrays["text"].shape == (4, 2)


# --- Files --------------------------------------------------------------------------------------------


def arrays(*names, n_rows=5, seed=0):
    rng = np.random.default_rng(seed)
    made = {name: rng.normal(size=(n_rows, 3)).astype(np.float32) for name in names}
    return made, {name: rng.random(n_rows) < 0.5 for name in names}


@pytest.mark.parametrize("names", [("text", "image", "audio"), ("text",), ("image", "audio"), ()])
@pytest.mark.parametrize("with_ngrams", [True, False])
def test_features_come_back_as_they_were(tmp_path, names, with_ngrams):
    made, present = arrays(*names)
    ngrams = sparse.random_array((5, 9), density=0.3, format="csr", rng=0) if with_ngrams else None
    features.save_features(tmp_path / "new" / "features", made, present, ngrams)
    loaded, there, bag = features.load_features(tmp_path / "new" / "features")
    assert list(loaded) == list(there) == sorted(names)
    for name in names:
        assert loaded[name].dtype == np.float32
        assert there[name].dtype == bool
        np.testing.assert_array_equal(loaded[name], made[name])
        np.testing.assert_array_equal(there[name], present[name])
    if with_ngrams:
        np.testing.assert_array_equal(bag.toarray(), ngrams.toarray())
        assert bag.format == "csr"
    else:
        assert bag is None


def test_blocks_stay_with_their_modality(tmp_path):
    made, present = arrays("audio", "text")
    made |= {"text_ngrams": np.arange(10, dtype=np.int32).reshape(5, 2), "text_weights": np.ones((5, 2), np.float32)}
    features.save_features(tmp_path / "features", made, present)
    assert {path.name for path in (tmp_path / "features").iterdir()} == {"audio.npz", "text.npz"}
    loaded, there, _ = features.load_features(tmp_path / "features")
    assert list(loaded) == list(made) and list(there) == ["audio", "text"]
    for name, values in made.items():
        assert loaded[name].dtype == values.dtype
        np.testing.assert_array_equal(loaded[name], values)


def test_a_second_save_leaves_nothing_of_the_first(tmp_path):
    folder = tmp_path / "features"
    features.save_features(folder, *arrays("text", "audio"), sparse.csr_array(np.eye(5)))
    made, present = arrays("text", seed=1)
    features.save_features(folder, made, present)
    loaded, _, bag = features.load_features(folder)
    assert list(loaded) == ["text"]
    assert bag is None
    np.testing.assert_array_equal(loaded["text"], made["text"])
    assert [path.name for path in tmp_path.iterdir()] == ["features"]


def test_a_save_that_fails_leaves_the_first_whole(tmp_path):
    made, present = arrays("audio", "text")
    features.save_features(tmp_path / "features", made, present)
    with pytest.raises(KeyError):
        features.save_features(tmp_path / "features", made, {"audio": present["audio"]})
    loaded, _, _ = features.load_features(tmp_path / "features")
    np.testing.assert_array_equal(loaded["text"], made["text"])
    assert [path.name for path in tmp_path.iterdir()] == ["features"]


def test_saved_features_hold_no_pickle(tmp_path):
    features.save_features(tmp_path / "features", *arrays("text", "image"), sparse.csr_array(np.eye(5)))
    for path in (tmp_path / "features").iterdir():
        with np.load(path, allow_pickle=False) as file:
            assert all(file[name].dtype != object for name in file.files)


def test_encoders_come_back_as_they_were(rows, encoders, tmp_path):
    saved.save_encoders(tmp_path / "encoders", encoders)
    loaded = saved.load_encoders(tmp_path / "encoders", ["text", "audio", "image"])
    assert list(loaded) == ["audio", "image", "text"]
    expected, made = features.encode_rows(rows, encoders), features.encode_rows(rows, loaded)
    for name in expected:
        np.testing.assert_allclose(made[name], expected[name], atol=1e-5)
    assert list(saved.load_encoders(tmp_path / "encoders", ["audio"])) == ["audio"]
    saved.save_encoders(tmp_path / "encoders", {"audio": encoders["audio"]})
    assert [path.name for path in (tmp_path / "encoders").iterdir()] == ["audio.npz"]
