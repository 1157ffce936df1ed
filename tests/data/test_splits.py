"""Groups of copies against brute force, whatever was done to them, and splits against scikit-learn."""

import numpy as np
import pandas as pd
import pytest
import soundfile
import soxr
from datasketch import MinHash, MinHashLSH
from PIL import Image, ImageEnhance
from scipy.fft import dctn
from sklearn.model_selection import StratifiedKFold, train_test_split

from fusebook.data import splits


def test_copies_differ_in_blanks_and_case_and_empty_texts_stand_alone():
    group = splits.duplicate_texts(["Same text", "same  TEXT ", "other words here", "", "", "x"])
    assert group[0] == group[1] and len(set(group)) == 5


def test_without_duplicates_the_split_is_scikit_learns():
    labels = pd.Series(np.random.default_rng(1).choice(list("ABC"), 400, p=[0.6, 0.3, 0.1]))
    split = splits.split_rows(labels, np.arange(400))
    rest, test = train_test_split(np.arange(400), test_size=0.2, stratify=labels, random_state=42)
    assert set(np.flatnonzero(split == "test")) == set(test)
    assert (split == "validation").sum() == 40 and (split[rest] != "test").all()
    shares = pd.crosstab(labels, split, normalize="columns")
    assert (shares.sub(labels.value_counts(normalize=True), axis=0).abs() < 0.02).all(axis=None)


def test_a_group_is_never_torn():
    rng = np.random.default_rng(2)
    groups, labels = rng.integers(0, 120, 300), pd.Series(rng.choice(list("AB"), 300))
    made = pd.DataFrame({"group": groups, "split": splits.split_rows(labels, groups)})
    assert (made.groupby("group")["split"].nunique() == 1).all() and made["split"].nunique() == 3


def test_small_classes_and_bad_shares():
    labels = pd.Series(["A"] * 40 + ["B"] * 5 + ["C"] * 5)
    groups = np.array([*range(45), 45, 45, 45, 45, 45])  # all of C are copies of one text
    split = splits.split_rows(labels, groups)
    assert set(split) == {"train", "validation", "test"} and set(split[45:]) == {"train"}
    for share in (0, 1.5, -0.1):
        with pytest.raises(ValueError, match="test_share is"):
            splits.split_rows(labels, groups, test_share=share)


# --- Duplicates and splits: every size ----------------------------------------------------------------


def _shingles(text):
    text = "".join(text.lower().split())
    return {text[i : i + 3] for i in range(max(1, len(text) - 2))}


def groups_by_force(texts, threshold):
    """Every pair compared; groups by the shortest chain."""
    group = list(range(len(texts)))
    for i, one in enumerate(texts):
        for j, other in enumerate(texts[:i]):
            a, b = _shingles(one), _shingles(other)
            if one.strip() and other.strip() and len(a & b) / len(a | b) >= threshold:
                group = [group[j] if g == group[i] else g for g in group]
    return np.array(group)


def same_groups(one, other):
    return ((one[:, None] == one) == (other[:, None] == other)).all()


def made_texts(n_texts, seed=0):
    """Random texts, a third of them near copies of earlier ones, some exact, some empty."""
    rng = np.random.default_rng(seed)
    texts = []
    for i in range(n_texts):
        if texts and i % 3 == 0 and (old := list(str(rng.choice(texts)))):
            for _ in range(rng.integers(0, 6)):
                old[rng.integers(len(old))] = chr(rng.integers(0x4E00, 0x9FFF))
            texts.append("".join(old))
        elif i % 20 == 1:
            texts.append("")
        else:
            texts.append("".join(map(chr, rng.integers(0x4E00, 0x4E80, rng.integers(20, 60)))))
    return texts


@pytest.mark.parametrize("threshold", [0.6, 0.8, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_all_groups_are_those_of_brute_force(threshold, seed):
    texts = made_texts(200, seed)
    by_force = groups_by_force(texts, threshold)
    assert len(set(by_force)) < 195
    made = splits.duplicate_texts(texts, threshold=threshold)
    assert made.shape == (200,)
    assert same_groups(made, by_force)
    order = np.random.default_rng(1).permutation(200)
    assert same_groups(splits.duplicate_texts([texts[i] for i in order], threshold=threshold), made[order])


@pytest.mark.parametrize("seed", range(2))
def test_candidates_are_those_of_datasketchs_index(seed):
    texts = list(dict.fromkeys(text for text in made_texts(300, seed) if text))
    hashes = MinHash.bulk([[s.encode() for s in _shingles(text)] for text in texts], num_perm=128, seed=1)
    index, pairs = MinHashLSH(threshold=0.64, num_perm=128, weights=(0.1, 0.9)), set()
    for i, minhash in enumerate(hashes):
        pairs |= {(other, i) for other in index.query(minhash)}
        index.insert(i, minhash)
    signatures = np.array([minhash.hashvalues for minhash in hashes])
    made = splits._candidates(signatures, index.hashranges)
    assert len(made) == len(set(map(tuple, made.tolist()))) > 20
    assert {tuple(sorted(pair)) for pair in made.tolist()} == pairs


@pytest.mark.parametrize("neighbours", [1, 5, 100])
def test_many_near_copies_are_one_group_though_not_all_pairs_are_compared(monkeypatch, neighbours):
    monkeypatch.setattr(splits, "_NEIGHBOURS", neighbours)
    common = "".join(map(chr, range(0x4E00, 0x4E00 + 80)))
    texts = [common + chr(0x5E00 + i) for i in range(400)] + [common[::-1]]
    made = splits.duplicate_texts(texts)
    assert len(set(made[:400])) == 1 and made[400] != made[0]


def test_a_chain_of_near_copies_is_one_group():
    texts = ["".join(map(chr, range(0x4E00 + start, 0x4E00 + start + 60))) for start in (0, 5, 10, 15)]
    a, b = _shingles(texts[0]), _shingles(texts[3])
    assert len(a & b) / len(a | b) < 0.8
    assert len(set(splits.duplicate_texts(texts))) == 1


@pytest.mark.parametrize("texts", [[], [""], ["a"], ["", " "], ["a", "b"], ["ab", "AB"], ["短", "短", "长"]])
def test_few_short_and_empty_texts(texts):
    made = splits.duplicate_texts(texts)
    filled = [text.lower() for text in texts if text.strip()]
    assert made.shape == (len(texts),)
    assert len(set(made)) == len(set(filled)) + len(texts) - len(filled)


@pytest.mark.parametrize("n_rows", [50, 237, 1000])
@pytest.mark.parametrize("random_state", [42, 7])
def test_all_three_splits_are_scikit_learns(n_rows, random_state):
    labels = pd.Series(np.random.default_rng(0).choice(list("abc"), n_rows, p=[0.5, 0.3, 0.2]))
    split = splits.split_rows(labels, np.arange(n_rows), random_state=random_state)
    rest, test = train_test_split(np.arange(n_rows), test_size=0.2, stratify=labels, random_state=random_state)
    _, validation = train_test_split(rest, test_size=0.1 / 0.8, stratify=labels[rest], random_state=random_state)
    assert set(np.flatnonzero(split == "test")) == set(test)
    assert set(np.flatnonzero(split == "validation")) == set(validation)


@pytest.mark.parametrize(("test_share", "validation_share"), [(0.2, 0.1), (0.5, 0.25), (0.1, 0.05), (0.3, 0.5)])
def test_shares_are_right_in_every_label(test_share, validation_share):
    labels = pd.Series(np.random.default_rng(0).choice(list("abc"), 2000, p=[0.5, 0.3, 0.2]))
    split = splits.split_rows(labels, np.arange(2000), test_share=test_share, validation_share=validation_share)
    shares = pd.crosstab(labels, split, normalize="index")
    for name, share in {"validation": validation_share, "test": test_share}.items():
        assert (split == name).mean() == pytest.approx(share, abs=0.002)
        np.testing.assert_allclose(shares[name], share, atol=0.005)


@pytest.mark.parametrize("seed", range(5))
def test_groups_with_several_labels_are_never_torn_and_their_numbers_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    groups, labels = rng.integers(0, 150, 400), pd.Series(rng.choice(list("abc"), 400))
    split = splits.split_rows(labels, groups)
    assert pd.Series(split).groupby(groups).nunique().max() == 1
    assert (split == "test").mean() == pytest.approx(0.2, abs=0.06)
    np.testing.assert_array_equal(splits.split_rows(labels, rng.permutation(150)[groups] + 1000), split)


@pytest.mark.parametrize("n_labels", [2, 3, 5, 10, 40])
@pytest.mark.parametrize("rows_a_label", [5, 6, 9])
def test_small_labels_stand_in_every_split(n_labels, rows_a_label):
    """Five rows of each label, the fewest that ``check_rows`` lets through, are enough."""
    labels = pd.Series([f"label {i}" for i in range(n_labels)] * rows_a_label)
    counts = pd.crosstab(labels, splits.split_rows(labels, np.arange(len(labels))))
    assert counts[["train", "validation", "test"]].min(axis=None) >= 1
    assert (counts["train"] >= rows_a_label / 2).all()


@pytest.mark.parametrize("n_groups", [1, 2, 3])
def test_a_label_of_few_groups_does_not_stop_the_split(n_groups):
    """All rows of one label may be near copies of each other."""
    labels = pd.Series(["a"] * 40 + ["b"] * 40 + ["c"] * 20)
    groups = np.concatenate([np.arange(80), 80 + np.arange(20) % n_groups])
    split = splits.split_rows(labels, groups)
    assert pd.Series(split).groupby(groups).nunique().max() == 1
    assert set(split[:80]) == {"train", "validation", "test"}


@pytest.mark.parametrize("share", [0, 1, -0.1, 0.9, float("nan")])
@pytest.mark.parametrize("name", ["test_share", "validation_share"])
def test_a_bad_share_is_told(name, share):
    with pytest.raises(ValueError, match=f"{name} is {share}; expected a share between 0 and 0.9"):
        splits.split_rows(pd.Series(list("ab") * 50), np.arange(100), **{name: share})


def test_shares_that_leave_nothing_to_train_on_are_told():
    with pytest.raises(ValueError, match=r"add up to 1.10, which leaves too few rows"):
        splits.split_rows(pd.Series(list("ab") * 50), np.arange(100), test_share=0.5, validation_share=0.6)


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([0] * 12, "all 12 rows are copies of one text, picture or sound"),
        ([0, 1] * 6, r"copies stay together, and of 12 rows only 2 differ \(6 are copies of one text"),
        (range(12), "12 left that differ, of 12 label"),
    ],
)
def test_too_few_rows_that_differ_are_told(groups, said):
    labels = list("ab") * 6 if len(set(groups)) < 12 else [str(i) for i in range(12)]
    with pytest.raises(ValueError, match=f"Too few rows to split: {said}"):
        splits.split_rows(pd.Series(labels), np.array(groups))


# --- Copies of pictures -------------------------------------------------------------------------------


def smooth(seed, size=160):
    """A picture with structure: random spots of a few sizes."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(Image.fromarray(rng.integers(0, 256, (n, n, 3), dtype=np.uint8)).resize((size, size)), float)
        for n in (3, 5, 9)
    ]
    return Image.fromarray(np.mean(layers, axis=0).astype(np.uint8))


CHANGES = {
    "as it is": lambda picture: picture,
    "small": lambda picture: picture.resize((64, 64)),
    "large": lambda picture: picture.resize((400, 400)),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.04),
    "palette": lambda picture: picture.quantize(128),
}


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """Five pictures, each in seven forms, with the number of the picture."""
    folder = tmp_path_factory.mktemp("copies")
    paths, numbers = [], []
    for number in range(5):
        for name, change in CHANGES.items():
            change(smooth(number)).save(folder / f"{number} {name}.png")
            paths.append(str(folder / f"{number} {name}.png"))
        for quality in (40, 90):
            smooth(number).save(folder / f"{number} {quality}.jpg", quality=quality)
            paths.append(str(folder / f"{number} {quality}.jpg"))
        numbers += [number] * (len(CHANGES) + 2)
    return paths, np.array(numbers)


def test_copies_are_found_and_others_are_not(copies):
    paths, numbers = copies
    assert same_groups(splits.duplicate_images(paths), numbers)


def test_order_and_chunks_do_not_matter(copies, monkeypatch):
    paths, numbers = copies
    order = np.random.default_rng(0).permutation(len(paths))
    monkeypatch.setattr(splits, "_AT_ONCE", 4)
    groups = splits.duplicate_images([paths[i] for i in order])
    assert same_groups(groups, numbers[order])


def test_missing_pictures_stand_alone_in_groups(copies):
    paths, _ = copies
    assert len(set(splits.duplicate_images(["", *paths[:2], "", ""]))) == 4
    assert splits.duplicate_images([]).shape == (0,)
    assert len(set(splits.duplicate_images(["", ""]))) == 2


def test_given_groups_are_joined_with_the_copies(copies):
    """Rows 0 and 1 share a picture, 1 and 2 a text, 3 and 4 nothing: three groups."""
    paths, _ = copies
    step = len(CHANGES) + 2
    shown = [paths[0], paths[1], paths[step], paths[2 * step], ""]
    groups = splits.duplicate_images(shown, np.array(["a", "b", "b", "c", "d"]))
    assert same_groups(groups, np.array([0, 0, 0, 1, 2]))


def test_flat_pictures_of_different_brightness_are_no_copies(tmp_path):
    paths = [str(tmp_path / f"{level}.png") for level in (0, 120, 255)]
    for path, level in zip(paths, (0, 120, 255), strict=True):
        Image.new("L", (50, 50), level).save(path)
    assert len(set(splits.duplicate_images(paths))) == 3


def test_hashes_by_hand(copies):
    path = copies[0][0]
    made = splits.perceptual_hashes([path, ""])
    grey = np.asarray(Image.open(path).resize((32, 32), Image.Resampling.BILINEAR)) @ [0.299, 0.587, 0.114]
    low = dctn(grey)[:8, :8].ravel()
    bits = "".join("1" if value > np.median(low[1:]) else "0" for value in low)
    assert made.dtype == np.uint64
    assert made[:1].tobytes() == int(bits, 2).to_bytes(8, "big")
    assert made[1] == 0


# --- Sounds -------------------------------------------------------------------------------------------


def spoken(seed, *, rate=8000, seconds=0.6, pitch=120.0):
    """Something like a word: harmonics of a pitch that glides, in a few gusts, and a little noise; other each time."""
    rng = np.random.default_rng(seed)
    times = np.arange(int(rate * seconds)) / rate
    phase = 2 * np.pi * np.cumsum(pitch + 12 * np.cumsum(rng.normal(size=len(times))) / np.sqrt(len(times))) / rate
    gusts = np.clip(np.sin(np.pi * times / seconds) * (1 + np.sin(2 * np.pi * 4 * times + rng.normal())), 0, None)
    sound = gusts * sum(np.sin(k * phase + rng.uniform(0, 6)) / k for k in range(1, 20))
    return (0.1 * sound + 0.002 * rng.normal(size=len(times))).astype(np.float32)


def versions(sound):
    """The same sound in other files, by file name: samples, rate, and soundfile's options."""
    silence = np.zeros(2500, np.float32)
    loud = np.flatnonzero(np.abs(sound) > 0.05 * np.abs(sound).max())
    return {
        "same.wav": (sound, 8000, {}), "soft.wav": (sound / 20, 8000, {}), "turned.wav": (-sound, 8000, {}),
        "16k.wav": (soxr.resample(sound, 8000, 16_000), 16_000, {}),
        "44k.flac": (soxr.resample(sound, 8000, 44_100), 44_100, {}), "small.ogg": (sound, 8000, {}),
        "silence.wav": (np.concatenate([silence, sound, silence]), 8000, {}),
        "trimmed.wav": (sound[loud[0] : loud[-1] + 1], 8000, {}), "two.wav": (np.stack([sound, sound], 1), 8000, {}),
        "law.wav": (sound, 8000, {"subtype": "ULAW"}),
    }  # fmt: skip


def test_the_same_recording_is_found_however_it_was_saved_and_others_are_not(tmp_path):
    sound, paths = spoken(0), []
    for name, (samples, rate, options) in versions(sound).items():
        paths.append(str(tmp_path / name))
        soundfile.write(paths[-1], samples, rate, **options)
    for seed in range(1, 6):  # the same word said anew
        paths += ["", str(tmp_path / f"{seed}.wav")]
        soundfile.write(paths[-1], spoken(seed), 8000)
    groups = splits.duplicate_sounds(paths)
    assert len(set(groups[:10])) == 1
    assert len(set(groups)) == 11, "all others alone, those without a sound too"


def test_of_silence_only_the_same_bytes_are_copies(tmp_path):
    for name, length in (("a", 800), ("b", 800), ("c", 900), ("d", 1)):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(length), 8000)
    groups = splits.duplicate_sounds([str(tmp_path / f"{name}.wav") for name in "abcd"])
    assert groups[0] == groups[1] and len(set(groups)) == 3
    assert splits.duplicate_sounds([]).shape == (0,) and len(set(splits.duplicate_sounds(["", ""]))) == 2


def test_a_file_that_changed_is_read_again(tmp_path):
    paths = [str(tmp_path / f"{name}.wav") for name in "ab"]
    for seed, copies in ((1, True), (2, False)):
        for path, one in zip(paths, (spoken(1), spoken(seed) / 2), strict=True):
            soundfile.write(path, one, 8000)
        assert (len(set(splits.duplicate_sounds(paths))) == 1) == copies


def test_many_copies_of_one_sound_are_one_group(tmp_path):
    paths = [str(tmp_path / f"{i}.wav") for i in range(40)]
    for i, path in enumerate(paths):
        soundfile.write(path, spoken(i % 2) * (0.2 + i / 40), 8000)
    groups = splits.duplicate_sounds(paths)
    assert len(set(groups)) == 2 and (groups == np.tile(groups[:2], 20)).all()


def test_the_highest_correlation_at_any_shift_against_numpy(tmp_path):
    one, other = spoken(1, seconds=0.1), np.roll(spoken(2, seconds=0.1), 100)
    for name, samples in (("a", one), ("b", other)):
        soundfile.write(tmp_path / f"{name}.wav", samples, 8000, subtype="FLOAT")
    slopes = [splits._slopes(str(tmp_path / f"{name}.wav")) for name in "ab"]
    expected = np.abs(np.correlate(*slopes, mode="full")).max() / np.sqrt(np.prod([s @ s for s in slopes]))
    got = splits._correlation(str(tmp_path / "a.wav"), str(tmp_path / "b.wav"))
    assert got == pytest.approx(expected, rel=1e-4)  # float32 sums of 800 samples


def test_groups_are_joined_by_chains():
    assert splits.join_groups([0, 0, 1, 2, 3], [5, 6, 6, 7, 8]).tolist() == [0, 0, 0, 1, 2]
    assert splits.join_groups(["a", "b", "a"]).tolist() == [0, 1, 0]


# --- Folds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [1, 2, 20])
@pytest.mark.parametrize("n_groups", [2, 7, 60])
def test_folds_part_no_group_and_spread_the_classes(n_groups, n_classes):
    rng = np.random.default_rng(n_groups)
    groups = rng.integers(n_groups, size=3 * n_groups)
    groups[:n_groups] = np.arange(n_groups)
    labels = rng.integers(n_classes, size=n_groups)[groups]
    folds = splits.fold_numbers(labels, groups)
    assert folds.min() == 1 and 2 <= folds.max() <= 5
    assert pd.Series(folds).groupby(groups).nunique().eq(1).all()
    heads = pd.DataFrame({"fold": folds, "label": labels, "group": groups}).drop_duplicates("group")
    counts = pd.crosstab(heads["label"], heads["fold"])
    if heads["label"].value_counts().max() >= folds.max():
        assert (counts.max(axis=1) - counts.min(axis=1) <= 1).all()


def test_without_groups_folds_are_scikit_learns():
    labels = np.random.default_rng(0).integers(4, size=200)
    expected = np.zeros(200, int)
    for i, (_, held) in enumerate(StratifiedKFold(5, shuffle=True, random_state=1).split(labels, labels), 1):
        expected[held] = i
    np.testing.assert_array_equal(splits.fold_numbers(labels, np.arange(200), random_state=1), expected)


def test_one_group_makes_no_folds():
    with pytest.raises(ValueError, match="expected two at least"):
        splits.fold_numbers([0, 0], [3, 3])
