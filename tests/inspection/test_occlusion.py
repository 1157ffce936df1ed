"""Words left out, patches covered, sounds muted: hand-computed cases, and models that learnt from made pictures and sounds."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image
from scipy.signal import welch
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from fusebook.data.files import RATE, read_audio
from fusebook.encoders.tokens import tokenise
from fusebook.findings import say
from fusebook.inspection import occlusion

# --- Words --------------------------------------------------------------------------------------------


class Toy:
    """Two classes; ``weights`` of the words that a text contains add up and go through a sigmoid."""

    def __init__(self, **weights):
        self.weights = weights
        self.asked = []

    def chance(self, text):
        return expit(sum(weight for word, weight in self.weights.items() if word in text.casefold()))

    def __call__(self, texts):
        self.asked.append(list(texts))
        second = np.array([self.chance(text) for text in texts])
        return np.column_stack([1 - second, second])


def left_out(text, toy, class_number=1):
    return occlusion.leave_words_out(text, toy, class_number)


def test_the_planted_word_comes_first():
    table = left_out("The striker scored a GOAL in the last minute", Toy(goal=3))
    best = table.loc[table["effect"].idxmax()]
    assert best["word"] == "GOAL"
    assert best["effect"] == pytest.approx(expit(3) - 0.5)
    assert (table.drop(best.name)["effect"] == 0).all()


def test_effects_are_differences_by_hand():
    text = "good plot, bad ending: good-natured 35% fun"
    toy = Toy(plot=1.5, bad=-2, fun=0.7)
    table = left_out(text, toy)
    whole = expit(1.5 - 2 + 0.7)
    by_hand = {"plot": whole - expit(-2 + 0.7), "bad": whole - expit(1.5 + 0.7), "fun": whole - expit(1.5 - 2)}
    assert table["word"].tolist() == ["good", "plot", "bad", "ending", "good-natured", "35%", "fun"]
    expected = [by_hand.get(word, 0) for word in table["word"]]
    np.testing.assert_allclose(table["effect"], expected, atol=1e-12)


def test_the_other_class_has_the_opposite_effects():
    text = "a good film with a bad ending"
    toy = Toy(good=1, bad=-2)
    np.testing.assert_allclose(left_out(text, toy, 0)["effect"], -left_out(text, toy, 1)["effect"], atol=1e-12)


def test_a_word_that_comes_twice_is_left_out_once_each():
    """The toy sees no change while the second one stays."""
    assert left_out("goal after goal", Toy(goal=3))["effect"].tolist() == [0, 0, 0]
    assert left_out("goal after goal", Toy(goal=3))["start"].tolist() == [0, 5, 11]


def test_the_model_is_asked_once_with_the_whole_text_first():
    toy = Toy(b=1)
    left_out("a b, c", toy)
    assert toy.asked == [["a b, c", " b, c", "a , c", "a b, "]]


TEXTS = [
    "Plain words, with punctuation!",
    "  spaces \t and\n\nlines  ",
    "芯片和软件都很好,但是电池不行。",
    "混合 text 和 numbers 1,200.5 与 35%。",
    "Straße GROSS ẞ Ünïcödé naïve",
    "İstanbul'da İyi BİR gün",  # casefold makes this longer
    "don't stop-gap 3.14 ②",
    "emoji 🎉🎉 word 👍 ok",
    "<b>bold</b> & <script>alert(1)</script>",
    "Привет мир مرحبا بالعالم",
    "a a a aa aaa",
]


@pytest.mark.parametrize("text", TEXTS)
def test_spans_are_words_of_the_text_in_order(text):
    table = left_out(text, Toy(word=1))
    assert list(table.columns) == ["start", "end", "word", "effect"]
    assert [text[mark.start : mark.end] for mark in table.itertuples()] == table["word"].tolist()
    assert (table["start"] < table["end"]).all()
    assert (table["end"].to_numpy()[:-1] <= table["start"].to_numpy()[1:]).all()  # no overlap
    edges = [0, *table[["start", "end"]].to_numpy().ravel(), len(text)]
    assert "".join(text[i:j] for i, j in pairwise(edges)) == text


@pytest.mark.parametrize("text", TEXTS)
def test_every_token_has_its_span(text):
    assert [word.casefold() for word in left_out(text, Toy())["word"]] == tokenise(text)


@pytest.mark.parametrize("n_words", [199, 200, 201, 400, 401, 1000, 5000])
def test_long_texts_are_bounded_and_covered(n_words):
    words = ["".join(chr(97 + int(digit)) for digit in str(i)) for i in range(n_words)]  # a to j for 0 to 9
    text = " ".join([*words[:7], "goal", *words[8:]])
    toy = Toy(goal=3)
    table = left_out(text, toy)
    assert len(table) <= occlusion.MOST_WORDS
    assert len(toy.asked[0]) == len(table) + 1
    assert len(table) > n_words / (-(-n_words // occlusion.MOST_WORDS)) - 1
    assert (table["start"].iloc[0], table["end"].iloc[-1]) == (0, len(text))
    assert " ".join(table["word"]) == text  # nothing but the spaces between spans is left over
    assert "goal" in table.loc[table["effect"].idxmax(), "word"]
    assert (table["effect"] > 0).sum() == 1


def test_capitals_beside_a_letter_that_folds_to_two():
    table = left_out("Der ß: ein GOAL am Ende", Toy(goal=3))
    assert table["word"].tolist() == ["Der", "ß", "ein", "GOAL", "am", "Ende"]
    assert table["effect"].round(3).tolist() == [0, 0, 0, 0.453, 0, 0]


@pytest.mark.parametrize("text", ["", "   ", "…!?", "\n"])
def test_a_text_without_words(text):
    def refuse(texts):
        raise AssertionError("nothing to predict")

    table = occlusion.leave_words_out(text, refuse, 0)
    assert isinstance(table, pd.DataFrame)
    assert table.empty
    assert list(table.columns) == ["start", "end", "word", "effect"]


def test_one_word():
    table = left_out("goal", Toy(goal=2))
    assert table.to_dict("records") == [{"start": 0, "end": 4, "word": "goal", "effect": pytest.approx(expit(2) - 0.5)}]


def test_a_long_text_is_asked_in_as_few_spans_as_are_allowed():
    text, asked = "bank share profit tax goal", []
    made = occlusion.leave_words_out(text, lambda texts: asked.extend(texts) or np.ones((len(texts), 2)), 0, most=2)
    assert made["word"].tolist() == ["bank share profit", "tax goal"]
    assert asked == [text, " tax goal", "bank share profit "]


def classifier(encoder, labels, paths):
    """Paths to probabilities, by a logistic regression on the encoder's features."""
    model = LogisticRegression(C=0.1, max_iter=1000).fit(encoder.transform(paths), labels)
    return lambda asked: model.predict_proba(encoder.transform(asked))


# --- Pictures -----------------------------------------------------------------------------------------

CORNERS = {"top left": (0, 0), "bottom right": (1, 1), "top right": (0, 1)}


def noisy(rng, corner, kind, colours, size=64):
    """Grey noise with a patch in one corner: of the ``kind``-th colour, or of stripes that lie or stand."""
    picture = rng.integers(90, 170, (size, size, 3))
    side = size // 4
    lines, columns = (slice(0, side) if not far else slice(size - side, size) for far in CORNERS[corner])
    stripes = 250 * (np.indices((side, side, 3))[kind] // 4 % 2)
    picture[lines, columns] = np.eye(3)[kind] * 200 + 20 if colours else stripes
    return picture.astype(np.uint8)


@pytest.mark.parametrize(("corner", "colours"), [("top left", True), ("bottom right", False), ("top right", True)])
def test_the_corner_that_decides_comes_first(tmp_path, corner, colours):
    rng, labels, paths = np.random.default_rng(3), np.arange(160) % 2, []
    for i, label in enumerate(labels):
        paths.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(noisy(rng, corner, label, colours)).save(paths[-1])
    from fusebook.encoders.image import ImageEncoder

    options = {"size": 32, "epochs": 12, "mirror": False}
    encoder = ImageEncoder(**options).fit(paths[20:], labels[20:], validation=(paths[:20], labels[:20]))
    predict = occlusion.through_files(classifier(encoder, labels, paths), "image")
    down, across = CORNERS[corner]
    for label in (0, 1):
        asked = noisy(np.random.default_rng(9), corner, label, colours)
        table = occlusion.cover_patches(asked, predict, label, n_patches=4)
        best = table.loc[table["effect"].idxmax()]
        assert (best["top"], best["left"]) == (0.75 * down, 0.75 * across) and best["effect"] > 0.05


def mean_red(pictures):
    """The probability of class 1 rises with the red of the top left quarter."""
    red = np.array([p[: p.shape[0] // 2, : p.shape[1] // 2, 0].mean() / 255 for p in pictures])
    return np.column_stack([1 - red, red])


def test_effects_of_patches_by_hand():
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[:20, :20] = (200, 0, 0)  # mean 50: grey covers with (50, 0, 0)
    table = occlusion.cover_patches(picture, mean_red, 1, n_patches=4)
    inside = (table["top"] < 0.5) & (table["left"] < 0.5)
    assert len(table) == 16
    np.testing.assert_allclose(table.loc[inside, "effect"], 150 / 255 / 4)  # a quarter of the quarter loses 150
    np.testing.assert_allclose(table.loc[~inside, "effect"], 0, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (7, 5), (48, 48), (480, 640), (30, 3000), (3000, 2000)], ids=str)
def test_patches_cover_a_picture_once_and_large_ones_are_made_smaller(shape):
    asked = []

    def predict(pictures):
        asked.extend(pictures)
        return np.full((len(pictures), 2), 0.5)

    table = occlusion.cover_patches(np.full((*shape, 3), 7, np.uint8), predict, 0)
    areas = (table["bottom"] - table["top"]) * (table["right"] - table["left"])
    assert areas.sum() == pytest.approx(1) and (areas > 0).all()
    assert len(table) <= occlusion.N_PATCHES**2 and len(asked) == len(table) + 1
    assert max(asked[0].shape[:2]) <= occlusion.MOST_PIXELS


def test_only_the_patch_is_changed():
    rng, asked = np.random.default_rng(0), []

    def predict(pictures):
        asked.extend(pictures)
        return np.full((len(pictures), 2), 0.5)

    picture = rng.integers(0, 255, (32, 48, 3)).astype(np.uint8)
    table = occlusion.cover_patches(picture, predict, 0, n_patches=6)
    np.testing.assert_array_equal(asked[0], picture)
    for line, copy in zip(table.itertuples(), asked[1:], strict=True):
        inside = np.zeros((32, 48), bool)
        lines, columns = (
            np.round(np.array(edges) * n).astype(int)
            for edges, n in (((line.top, line.bottom), 32), ((line.left, line.right), 48))
        )
        inside[slice(*lines), slice(*columns)] = True
        np.testing.assert_array_equal(copy[~inside], picture[~inside])
        assert copy[inside].std() < picture[inside].std() / 2


@pytest.mark.parametrize(
    "picture", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
    ids=["grey", "alpha", "floats", "empty"],
)  # fmt: skip
def test_other_pictures_are_refused(picture):
    with pytest.raises(ValueError, match="expected uint8"):
        occlusion.cover_patches(picture, mean_red, 1)


# --- Sounds -------------------------------------------------------------------------------------------


def made_sound(rng, *, tone=0.0, moment=None, seconds=1.0):
    """Soft noise and a hum that every sound has, and a tone (Hz) throughout or in the tenth ``moment`` alone."""
    times = np.arange(round(seconds * RATE)) / RATE
    there = np.ones_like(times) if moment is None else (times // (seconds / 10) == moment)
    hum = 0.2 * np.sin(2 * np.pi * 150 * times)
    return (rng.normal(0, 0.03, len(times)) + hum + 0.4 * there * np.sin(2 * np.pi * tone * times) * (tone > 0)).astype(
        np.float32
    )


def learnt(folder, make):
    """What predicts sounds held in memory, trained on 60 sounds of two classes; ``make`` takes rng and class."""
    rng, labels, paths = np.random.default_rng(1), np.arange(60) % 2, []
    for i, label in enumerate(labels):
        paths.append(str(folder / f"{i}.wav"))
        soundfile.write(paths[-1], make(rng, label), RATE)
    from fusebook.encoders.audio import AudioEncoder

    encoder = AudioEncoder().fit(paths, labels)
    return occlusion.through_files(classifier(encoder, labels, paths), "audio")


@pytest.mark.parametrize("tone", [700, 1800, 4500])
def test_the_band_that_decides_comes_first(tmp_path, tone):
    predict = learnt(tmp_path, lambda rng, label: made_sound(rng, tone=tone * label))
    table = occlusion.mute_bands(made_sound(np.random.default_rng(9), tone=tone), predict, 1)
    best = table.loc[table["effect"].idxmax()]
    assert best["low"] <= tone < best["high"] and best["effect"] > 0.1


@pytest.mark.parametrize("moment", [1, 4, 8])
def test_the_moment_that_decides_comes_first(tmp_path, moment):
    predict = learnt(tmp_path, lambda rng, label: made_sound(rng, tone=2000 * label, moment=moment))
    sound = made_sound(np.random.default_rng(9), tone=2000, moment=moment)
    table = occlusion.mute_windows(sound, predict, 1)
    best = table.loc[table["effect"].idxmax()]
    assert best["start"] == pytest.approx(moment / 10) and best["effect"] > 0.1


def energy_predictor(asked):
    def predict(sounds):
        asked.extend(sounds)
        energy = np.array([np.square(sound, dtype=float).mean() for sound in sounds])
        return np.column_stack([expit(-energy), expit(energy)])

    return predict


@pytest.mark.parametrize("n_samples", [1, 2, 999, 16_000, 16_001])
def test_the_muted_bands_add_up_to_the_sound(n_samples):
    rng, asked = np.random.default_rng(0), []
    samples = rng.normal(size=n_samples).astype(np.float32)
    occlusion.mute_bands(samples, energy_predictor(asked), 1)
    removed = np.sum([samples - copy for copy in asked[1:]], axis=0)
    np.testing.assert_allclose(removed, samples, atol=1e-5)


def test_a_band_is_gone_and_the_others_are_as_loud_as_before():
    asked = []
    samples = np.random.default_rng(0).normal(size=RATE).astype(np.float32)
    table = occlusion.mute_bands(samples, energy_predictor(asked), 1)
    frequencies, before = welch(samples, RATE, nperseg=2048)
    for line, copy in zip(table.itertuples(), asked[1:], strict=True):
        after = welch(copy, RATE, nperseg=2048)[1]
        inside = (frequencies > line.low + 30) & (frequencies < line.high - 30)
        outside = (frequencies < line.low - 30) | (frequencies > line.high + 30)
        assert after[inside].max() < 1e-3 * before[inside].min()
        np.testing.assert_allclose(after[outside], before[outside], rtol=0.05)
    assert table["low"].iloc[0] == 0 and table["high"].iloc[-1] == pytest.approx(RATE / 2)
    mel = 2595 * np.log10(1 + table["high"] / 700)
    np.testing.assert_allclose(np.diff(mel), mel.iloc[0])


def test_a_moment_loses_its_event_and_keeps_the_noise(monkeypatch):
    monkeypatch.setattr(occlusion, "N_WINDOWS", 5)
    asked, times = [], np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * 2000 * times) * ((times >= 0.4) & (times < 0.6))
    noise = np.random.default_rng(0).normal(0, 0.1, RATE)
    samples = (noise + tone).astype(np.float32)
    table = occlusion.mute_windows(samples, energy_predictor(asked), 1)
    for line, copy in zip(table.itertuples(), asked[1:], strict=True):
        far = (times < line.start - 0.01) | (times > line.end + 0.01)
        np.testing.assert_array_equal(copy[far], samples[far])
        decibels = 20 * np.log10(copy[(times >= line.start) & (times <= line.end)].std() / 0.1)
        assert -3 < decibels < 1
    assert table["effect"].idxmax() == 2


def test_of_a_long_sound_the_loudest_stretch_is_asked_about():
    asked, length = [], occlusion.MOST_SECONDS * RATE
    samples = np.full(3 * length, 0.01, np.float32)
    samples[length + 5000 : 2 * length + 5000] = 0.5
    table = occlusion.mute_windows(samples, energy_predictor(asked), 1)
    assert {len(sound) for sound in asked} == {length} and (asked[0] == 0.5).all()
    assert table["start"].iloc[0] == pytest.approx(occlusion.MOST_SECONDS + 5000 / RATE)
    np.testing.assert_allclose(table["end"] - table["start"], occlusion.MOST_SECONDS / 10)


@pytest.mark.parametrize("mute", [occlusion.mute_bands, occlusion.mute_windows])
@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros((10, 2), np.float32)], ids=["none", "stereo"])
def test_other_sounds_are_refused(mute, samples):
    with pytest.raises(ValueError, match="expected"):
        mute(samples, energy_predictor([]), 1)


# --- Through files ------------------------------------------------------------------------------------


def test_pictures_and_sounds_come_back_from_files_as_they_were():
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (9, 7, 3)).astype(np.uint8), np.zeros((4, 4, 3), np.uint8)]
    sounds = [rng.normal(size=500).astype(np.float32), np.full(3, 1.7, np.float32)]

    def read_back(read, values):
        def predict(paths):
            for path, value in zip(paths, values, strict=True):
                np.testing.assert_array_equal(read(path), value)
            return np.ones((len(paths), 1))

        return predict

    for part, values, read in (
        ("image", pictures, lambda path: np.asarray(Image.open(path))),
        ("audio", sounds, read_audio),
    ):
        assert occlusion.through_files(read_back(read, values), part)(values).shape == (2, 1)
    with pytest.raises(ValueError, match="expected image or audio"):
        occlusion.through_files(read_back(read_audio, []), "text")


# --- In words -----------------------------------------------------------------------------------------


WORD = {"word": ["a", "很 \n 好"], "start": [0, 1], "end": [1, 2]}
PATCH = {"top": [0, 0.5], "bottom": [0.5, 1], "left": [0, 0.2], "right": [0.2, 0.4]}
PLACES = [
    (WORD, "Leaving out “很 好”", "words"),
    (WORD | {"word": ["a", "b" * 50]}, f"Leaving out “{'b' * 39}…”", "words"),
    (PATCH, "Covering the patch 30 % from the left and 75 % from the top", "patches"),
    ({"low": [0, 150.4], "high": [150.4, 400]}, "Muting 150 to 400 Hz", "bands"),
    ({"start": [0, 0.125], "end": [0.125, 0.25]}, "Muting 0.12 to 0.25 s", "moments"),
]


@pytest.mark.parametrize(("columns", "start", "kind"), PLACES, ids=["word", "long word", "patch", "band", "moment"])
@pytest.mark.parametrize("effect", [0.5, -0.5])
def test_the_strongest_is_said(columns, start, kind, effect):
    table = pd.DataFrame(columns).assign(effect=[0.01, effect])
    [(key, grade, facts)] = occlusion.strongest_verdicts(table)
    sign = "-" if effect > 0 else "+"
    assert grade == "note"
    assert say(key, **facts) == f"{start} moves the probability by {sign}50 points, the most of all {kind}."


def test_empty_tables_have_no_strongest():
    names = [occlusion.WORD_COLUMNS, occlusion.PATCH_COLUMNS, occlusion.BAND_COLUMNS, occlusion.MOMENT_COLUMNS]
    assert occlusion.strongest_verdicts(*(pd.DataFrame(columns=columns) for columns in names)) == []
