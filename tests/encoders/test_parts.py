"""Encoders of all parts: fitted on training rows alone, each part as its own encoder gives it, and they come back whole."""

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

from fusebook.data.dataset import Dataset
from fusebook.encoders.audio import AudioEncoder, summarise
from fusebook.encoders.image import ImageEncoder
from fusebook.encoders.parts import Encoders
from fusebook.encoders.text import TextEncoder
from fusebook.encoders.tokens import tokenise
from fusebook.encoders.vectors import VectorEncoder, train_vectors

WORDS = ["goal team coach 球队", "bank share price 银行"]
SIZES = {"audio": 120, "image": 64, "text": 4, "text_ngrams": 9, "text_weights": 9}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """24 rows, the first 16 to train on; some lack the text, some the picture, some the sound, the first all of them."""
    folder = tmp_path_factory.mktemp("media")
    rng = np.random.default_rng(0)
    lines = []
    for i in range(24):
        sound, picture = folder / f"{i}.wav", folder / f"{i}.png"
        tone = np.sin(np.arange(1600) * (0.1 + 0.2 * (i % 2))) + rng.normal(0, 0.1, 1600)
        soundfile.write(sound, 0.4 * tone, 16_000)
        Image.fromarray(rng.integers(0, 200, (8, 8, 3), dtype=np.uint8) + np.uint8(50 * (i % 2))).save(picture)
        parts = [f"{WORDS[i % 2]} {i}" if i % 4 else "", str(picture) if i % 3 else "", str(sound) if i % 5 else ""]
        lines.append([i + 1, *parts, "ab"[i % 2], "train" if i < 16 else "validation" if i < 20 else "test"])
    return Dataset.of_rows(pd.DataFrame(lines, columns=["row", "text", "image", "audio", "label", "split"]))


def text_encoder(data):
    texts = data.train.rows["text"]
    vectors = train_vectors([tokenise(text) for text in texts[texts != ""]], dimensions=4)
    return TextEncoder("vectors+ngrams", vectors=VectorEncoder(vectors), width=9)


@pytest.fixture(scope="module")
def encoders(data):
    made = Encoders().fit("text", text_encoder(data), data).fit("image", ImageEncoder(size=8, epochs=2), data)
    return made.fit("audio", AudioEncoder(), data)


def check_equal(features, others, within=1e-4):
    assert list(features.blocks) == list(others.blocks)
    for name, values in features.blocks.items():
        np.testing.assert_allclose(values, others.blocks[name], atol=within)


def test_each_part_is_what_its_encoder_gives_and_zero_where_it_is_missing(data, encoders):
    features = encoders.transform(data.rows)
    assert features.sizes == SIZES and len(features) == 24
    for name, values in features.blocks.items():
        part = name.split("_")[0]
        there = (data.rows[part] != "").to_numpy()
        np.testing.assert_array_equal(features.present[part], there)
        assert values.dtype == (np.int32 if name == "text_ngrams" else np.float32)
        assert (values[~there] == 0).all() and (values[there] != 0).any(axis=1).all()
        alone = encoders[part].transform(data.rows.loc[there, part].tolist())
        np.testing.assert_allclose(values[there], alone[name] if part == "text" else alone, atol=1e-4)
    assert features.kinds == encoders["text"].columns() and features.ngrams is None


def test_they_learn_from_training_rows_alone(data, encoders):
    """Sounds by hand; and validation rows are watched by the network, while test rows change nothing."""
    rows = data.rows[data.rows["audio"] != ""]
    numbers = np.array([summarise(path) for path in rows["audio"]], np.float64)
    train = numbers[(rows["split"] == "train").to_numpy()]
    made = encoders.transform(data.rows).blocks["audio"][rows.index]
    np.testing.assert_allclose(made, (numbers - train.mean(axis=0)) / train.std(axis=0), atol=1e-2)
    assert "val_loss" in encoders["image"].history_
    other = data.rows.assign(text=data.rows["text"].where(data.rows["split"] != "test", "secret secret"))
    again = Encoders().fit("text", text_encoder(data), Dataset.of_rows(other))
    assert "secret" not in set(again["text"].bag_.words_)
    np.testing.assert_array_equal(again["text"].mean_, encoders["text"].mean_)


def test_a_part_that_no_training_row_has_is_not_there(data):
    rows = data.rows.assign(audio=data.rows["audio"].where(data.rows["split"] == "test", ""))
    assert Encoders().fit("audio", AudioEncoder(), Dataset.of_rows(rows)) == {}


def test_the_bag_goes_along_where_it_is_wanted(data, encoders):
    bag = encoders.ngrams(data.rows)
    assert bag.shape == (24, encoders["text"].bag_.n_ngrams_) and bag[[0]].nnz == 0
    assert encoders.transform(data.rows, ngrams=bag).ngrams is bag
    assert Encoders(audio=encoders["audio"]).ngrams(data.rows) is None


def test_learning_curves_are_those_of_networks(encoders):
    curves = encoders.histories()
    assert list(curves) == ["image CNN"]
    assert curves["image CNN"].index.tolist() == [1, 2] and {"loss", "val_loss"} <= set(curves["image CNN"])


def test_the_order_of_encoders_and_rows_does_not_matter(data, encoders):
    features = encoders.transform(data.rows)
    check_equal(Encoders(reversed(encoders.items())).transform(data.rows), features)
    order = np.random.default_rng(0).permutation(24)
    check_equal(encoders.transform(data.rows.iloc[order]), features[order])


def test_no_rows_have_no_features(data, encoders):
    features = encoders.transform(data.rows.head(0))
    assert features.sizes == SIZES and len(features) == 0


def test_they_come_back_as_they_were(data, encoders, tmp_path):
    encoders.save(tmp_path / "encoders")
    loaded = Encoders.load(tmp_path / "encoders", ["text", "audio", "image"])
    assert list(loaded) == ["audio", "image", "text"]
    check_equal(loaded.transform(data.rows), encoders.transform(data.rows), within=1e-5)
    assert list(Encoders.load(tmp_path / "encoders", ["audio"])) == ["audio"]
    Encoders(audio=encoders["audio"]).save(tmp_path / "encoders")
    assert [path.name for path in (tmp_path / "encoders").iterdir()] == ["audio.npz"]


def text_alone(texts, labels, parts="ngrams", **options):
    return Encoders(text=TextEncoder(parts, **options).fit(texts, labels))


def test_a_word_and_a_character_that_look_alike_are_told_apart():
    texts, labels = ["三 元 goal", "七 元 goal", "三 bank", "七 bank"], [0, 0, 1, 1]
    made = text_alone(texts, labels).telling_ngrams(most=100)
    alike = made[made["n-gram"] == "元"]
    assert sorted(alike["kind"]) == ["characters", "word"]
    assert made.loc[made["n-gram"].isin(["goal", "bank"]), "kind"].tolist() == ["word", "word"]
    assert made["chi-squared"].is_monotonic_decreasing and made["chi-squared"].iloc[0] > 0
    assert Encoders().telling_ngrams().shape == (0, 3)


def test_what_is_kept_by_hand():
    """The bag knows a, b, c as words and as characters: six n-grams and the pairs; of a strange text it knows none."""
    texts = ["a b c", "a b", "a", "zz"]
    encoders = text_alone(texts[:3], [0, 1, 0], width=4)
    bag = encoders.ngrams(pd.DataFrame({"text": texts}))
    made = encoders.ngrams_kept(bag, pd.Series(["train", "train", "test", "test"]))
    known, kept = np.diff(bag.indptr), encoders["text"].bag_.kept_weight(bag)
    assert known[3] == 0 and known[0] > 4 and known[2] == 2
    assert made["texts"].to_dict() == {"train": 2, "test": 2}
    assert made.loc["test"].tolist() == [2, 1, 0, 1]  # (2 + 0) / 2 known, none longer, all of it read
    assert made.loc["train", "longer"] == (known[:2] > 4).mean() > 0
    assert made.loc["train", "weight kept"] == pytest.approx(kept[:2].mean()) and kept[0] < 1
    assert encoders.verdicts(made) == [("long texts", "note", {"share": "0", "width": 4})]
    none = Encoders().ngrams_kept(None, pd.Series(dtype=str))
    assert none.empty and list(none) == list(made) and Encoders().verdicts(none) == []
    assert text_alone(texts, [0, 1, 0, 1], "length").verdicts(made) == []


def test_keras_and_gensim_wait_until_they_are_needed():
    """What notebook 01 needs of this room costs neither."""
    import subprocess
    import sys

    code = (
        "import sys; from fusebook import data, encoders; import pandas as pd; encoders.Encoders, encoders.TextEncoder\n"
        "encoders.length_table(pd.DataFrame({'text': ['goal'], 'label': ['a']})); data.Table, data.split_rows\n"
        "encoders.AudioEncoder().fit, encoders.ImageEncoder().fit\n"
        "assert not {'keras', 'jax', 'gensim', 'textblob'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
