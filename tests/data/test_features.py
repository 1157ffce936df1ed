"""Features: rows cut without a copy, parts taken out, blocks replaced, and files that come back whole."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from fusebook.data.features import Features, part_of

KINDS = {"vectors": {"text": slice(0, 2)}, "ngrams": {"text_ngrams": slice(None), "text_weights": slice(None)}}


def made(n_rows=6, seed=0, ngrams=True):
    """Text and sound of some rows, each lacking in some of them, with zeros there."""
    rng = np.random.default_rng(seed)
    present = {"text": np.arange(n_rows) % 3 != 0, "audio": np.arange(n_rows) % 2 == 0}
    blocks = {
        "text": rng.normal(size=(n_rows, 3)).astype(np.float32),
        "text_ngrams": rng.integers(1, 9, (n_rows, 2), dtype=np.int32),
        "text_weights": rng.random((n_rows, 2), dtype=np.float32),
        "audio": rng.normal(size=(n_rows, 4)).astype(np.float32),
    }
    blocks = {name: values * present[part_of(name)][:, None] for name, values in blocks.items()}
    bag = sparse.random_array((n_rows, 9), density=0.3, format="csr", rng=0) if ngrams else None
    return Features(blocks, present, bag, KINDS), blocks, present, bag


def check_equal(features, blocks, present, bag=None):
    assert list(features.blocks) == sorted(blocks) and features.parts == sorted(present)
    for name, values in features.blocks.items():
        assert values.dtype == blocks[name].dtype
        np.testing.assert_array_equal(values, blocks[name])
    for part, bools in present.items():
        assert features.present[part].dtype == bool
        np.testing.assert_array_equal(features.present[part], bools)
    if bag is None:
        assert features.ngrams is None
    else:
        np.testing.assert_array_equal(features.ngrams.toarray(), bag.toarray())


@pytest.mark.parametrize(
    ("block", "part"), [("text", "text"), ("text_ngrams", "text"), ("text_weights", "text"), ("audio", "audio")]
)
def test_a_block_belongs_to_a_part(block, part):
    assert part_of(block) == part


def test_what_it_holds():
    features, *rest = made()
    check_equal(features, *rest)
    assert len(features) == 6 and features.n_ngrams == 9
    assert features.sizes == {"audio": 4, "text": 3, "text_ngrams": 2, "text_weights": 2}
    assert features.table().to_numpy().tolist() == [[4, 3], [3, 4], [2, 4], [2, 4]]


# --- Some rows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "rows"),
    [
        ([True, False, True, False, False, True], [0, 2, 5]),
        ([3, 0, 0], [3, 0, 0]),
        (np.array([], int), []),
        (np.zeros(6, bool), []),
        (np.ones(6, bool), [0, 1, 2, 3, 4, 5]),
    ],
)
def test_rows_by_bools_and_by_positions(chosen, rows):
    features, blocks, present, bag = made()
    some = features[np.asarray(chosen)]
    assert len(some) == len(rows)
    cut = [{name: values[rows] for name, values in arrays.items()} for arrays in (blocks, present)]
    check_equal(some, *cut, bag[rows])
    assert some.kinds == KINDS and len(features) == 6


def test_rows_of_rows():
    features, blocks, present, bag = made()
    some = features[np.array([5, 3, 1, 0])][np.array([True, False, True, True])][np.array([2, 0])]
    cut = [{name: values[[0, 5]] for name, values in arrays.items()} for arrays in (blocks, present)]
    check_equal(some, *cut, bag[[0, 5]])


def test_one_part_of_some_rows():
    features, blocks, present, bag = made()
    text = features[np.array([4, 2])].of("text")
    names = ("text", "text_ngrams", "text_weights")
    cut = {name: blocks[name][[4, 2]] for name in names}
    check_equal(text, cut, {"text": present["text"][[4, 2]]}, bag[[4, 2]])
    assert text.kinds == KINDS
    sound = features.of("audio")
    check_equal(sound, {"audio": blocks["audio"]}, {"audio": present["audio"]})
    assert sound.kinds == {}


# --- What models read ---------------------------------------------------------------------------------


def test_a_mask_says_which_parts_there_are_where_there_are_several():
    features, blocks, present, _ = made()
    inputs = features.inputs
    np.testing.assert_array_equal(inputs.pop("present"), np.column_stack([present["audio"], present["text"]]))
    assert set(inputs) == set(blocks)
    assert set(features.of("audio").inputs) == {"audio"}


def test_linear_models_read_the_bag_else_all_blocks():
    features, blocks, _, bag = made()
    assert (features.linear != bag).nnz == 0
    np.testing.assert_array_equal(made(ngrams=False)[0].of("audio").linear, blocks["audio"])


def test_parts_can_be_taken_out():
    """Of rows cut before, too; a part that nobody has is no error, and the original stays."""
    features, blocks, present, bag = made()
    order = np.array([5, 4, 1])
    less = features[order].without(["audio", "image"])
    kept = {name: values[order] * (name != "audio") for name, values in blocks.items()}
    check_equal(less, kept, {"text": present["text"][order], "audio": np.zeros(3, bool)}, bag[order])
    assert features.without(["text"]).ngrams.nnz == 0
    check_equal(features, blocks, present, bag)


def test_blocks_can_be_replaced():
    features, blocks, present, bag = made()
    other = {"audio": blocks["audio"][::-1]}
    check_equal(features.replaced(other), blocks | other, present, bag)
    check_equal(features, blocks, present, bag)


class Doubling:
    """An encoder whose numbers can be told: the length of the text, twice; 1 for an empty one."""

    def transform(self, values):
        return np.array([[2 * len(value) or 1] for value in values], np.float32).reshape(-1, 1)


def test_a_missing_part_is_zero_although_the_encoder_gives_something():
    rows = pd.DataFrame({"image": ["aa", "", "b"], "audio": ["", "", ""]}, index=[7, 7, 1])
    features = Features.of_rows(rows, {"image": Doubling(), "audio": Doubling()})
    expected = {"audio": np.zeros((3, 1), np.float32), "image": np.array([[4], [0], [2]], np.float32)}
    check_equal(features, expected, {"audio": np.zeros(3, bool), "image": np.array([True, False, True])})
    assert Features.of_rows(rows.head(0), {"image": Doubling()}).blocks["image"].shape == (0, 1)


# --- Files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [("text", "audio"), ("text",), ("audio",), ()])
@pytest.mark.parametrize("ngrams", [True, False])
def test_it_comes_back_as_it_was(tmp_path, parts, ngrams):
    _, blocks, present, bag = made(ngrams=ngrams)
    blocks = {name: values for name, values in blocks.items() if part_of(name) in parts}
    present = {part: present[part] for part in parts}
    Features(blocks, present, bag, KINDS).save(tmp_path / "new" / "features")
    loaded = Features.load(tmp_path / "new" / "features")
    check_equal(loaded, blocks, present, bag)
    assert loaded.kinds == KINDS
    names = {path.name for path in (tmp_path / "new" / "features").iterdir()}
    assert names == {f"{part}.npz" for part in parts} | {"kinds.json"} | ({"ngrams.npz"} if ngrams else set())


def test_some_rows_are_saved_alone(tmp_path):
    features, blocks, present, bag = made()
    features[np.array([4, 0])].save(tmp_path / "features")
    cut = [{name: values[[4, 0]] for name, values in arrays.items()} for arrays in (blocks, present)]
    check_equal(Features.load(tmp_path / "features"), *cut, bag[[4, 0]])


def test_a_second_save_leaves_nothing_of_the_first(tmp_path):
    made()[0].save(tmp_path / "features")
    features = made(seed=1, ngrams=False)[0].of("text")
    features.save(tmp_path / "features")
    check_equal(Features.load(tmp_path / "features"), features.blocks, features.present)
    assert [path.name for path in tmp_path.iterdir()] == ["features"]


def test_a_save_that_fails_leaves_the_first_whole(tmp_path):
    features, blocks, present, bag = made()
    features.save(tmp_path / "features")
    with pytest.raises(AttributeError):  # an object is no number
        Features(blocks, present, bag, {"vectors": {"text": slice(object(), 2)}}).save(tmp_path / "features")
    check_equal(Features.load(tmp_path / "features"), blocks, present, bag)
    assert [path.name for path in tmp_path.iterdir()] == ["features"]


def test_saved_it_holds_no_pickle(tmp_path):
    made()[0].save(tmp_path / "features")
    for path in (tmp_path / "features").glob("*.npz"):
        with np.load(path, allow_pickle=False) as file:
            assert all(file[name].dtype != object for name in file.files)
