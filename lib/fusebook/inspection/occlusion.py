"""What in a row moved the probability: leave a word out, cover a patch, mute a band or a moment, predict again, compare.

Notebook 05_inspect tells the story; ``question.Question`` asks all of it about one row.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import soundfile
from PIL import Image
from scipy.signal import istft, stft

from fusebook.data.files import RATE
from fusebook.encoders.tokens import tokenise
from fusebook.findings import shortened

MOST_WORDS = 200  # in longer texts words are left out in spans, so that the work stays bounded
MOST_PIXELS = 512  # of a picture's longer side; a larger one is made smaller first, so that the work stays bounded
N_PATCHES = 8  # along the longer side
MOST_SECONDS = 60  # of a longer sound the loudest stretch is asked about
N_BANDS = 10
N_WINDOWS = 10
_RAMP = 0.005  # seconds in which a muted moment fades: a hard cut would be a click in every band

WORD_COLUMNS = ["start", "end", "word", "effect"]
PATCH_COLUMNS = ["top", "bottom", "left", "right", "effect"]
BAND_COLUMNS = ["low", "high", "effect"]
MOMENT_COLUMNS = ["start", "end", "effect"]

Predict = Callable[[Sequence], np.ndarray]  # texts, pictures, sounds or paths to probabilities (n_values, n_classes)


def leave_words_out(text: str, predict: Predict, class_number: int, *, most: int = MOST_WORDS) -> pd.DataFrame:
    """How much each word holds up the probability of one class (occlusion; Zeiler and Fergus, 2014).

    Each span of text (one word; several in a text of more than ``most``) is taken out and the rest predicted.

    Parameters
    ----------
    predict : texts to probabilities of shape (n_texts, n_classes); it is asked once, the whole text first

    Returns a DataFrame with start, end (characters of ``text``), word, effect (probability with the word minus
    probability without it), in text order.
    """
    spans = _spans(text, most)
    if not spans:
        return pd.DataFrame(columns=WORD_COLUMNS)
    table = pd.DataFrame([(start, end, text[start:end]) for start, end in spans], columns=WORD_COLUMNS[:3])
    texts = [text, *(text[:start] + text[end:] for start, end in spans)]
    return table.assign(effect=_effects(texts, predict, class_number))


def _effects(values: list, predict: Predict, class_number: int) -> np.ndarray:
    """What each change takes from the probability of the first of ``values``, which is unchanged."""
    probabilities = predict(values)[:, class_number]
    return probabilities[0] - probabilities[1:]


def _spans(text: str, most: int) -> list[tuple[int, int]]:
    folded = text.casefold()
    owner = [i for i, character in enumerate(text) for _ in character.casefold()]  # ß folds to two characters
    spans, place = [], 0
    for token in tokenise(text):
        start = folded.find(token, place)
        if start >= 0:
            place = start + len(token)
            spans.append((owner[start], owner[place - 1] + 1))
    step = -(-len(spans) // most)
    return [(group[0][0], group[-1][1]) for i in range(0, len(spans), step or 1) if (group := spans[i : i + step])]


def through_files(predict: Predict, part: str) -> Predict:
    """What predicts pictures or sounds held in memory by means of ``predict``, which takes paths.

    A bundle's encoders read files, so a changed picture is written as PNG (uint8, shape (height, width, 3)), a changed
    sound as WAV of 32-bit floats (16 kHz), both without loss, to a folder that is gone afterwards: what is explained
    goes through the same reader as what is predicted. ``part`` is image or audio.
    """
    if part not in ("image", "audio"):
        raise ValueError(f"Part {part!r}; expected image or audio.")

    def predict_values(values: Sequence[np.ndarray]) -> np.ndarray:
        with TemporaryDirectory() as folder:
            paths = [str(Path(folder) / f"{i}.{'png' if part == 'image' else 'wav'}") for i in range(len(values))]
            for path, value in zip(paths, values, strict=True):
                if part == "image":
                    Image.fromarray(value).save(path, compress_level=1)
                else:
                    soundfile.write(path, value, RATE, subtype="FLOAT")
            return predict(paths)

    return predict_values


def shrunk(picture: np.ndarray, most: int = MOST_PIXELS) -> np.ndarray:
    """``picture`` (uint8, shape (height, width, 3)) with a longer side of at most ``most`` pixels."""
    if max(picture.shape[:2]) <= most:
        return picture
    small = Image.fromarray(picture)
    small.thumbnail((most, most), Image.Resampling.BILINEAR)
    return np.asarray(small)


def cover_patches(
    picture: np.ndarray, predict: Predict, class_number: int, *, n_patches: int = N_PATCHES
) -> pd.DataFrame:
    """How much each patch of a picture holds up the probability of one class (occlusion; Zeiler and Fergus, 2014).

    A patch is covered with the picture's mean colour.

    Parameters
    ----------
    picture : uint8 of shape (height, width, 3); one of more than ``MOST_PIXELS`` is made smaller first
    predict : pictures like this one to probabilities of shape (n_pictures, n_classes); it is asked once
    n_patches : square patches along the longer side

    Returns a DataFrame with top, bottom, left, right (shares of height and width, from 0 to 1) and effect (probability
    of the whole picture minus that with the patch covered), line by line. Raises ValueError for another picture.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
        raise ValueError(f"A picture of shape {picture.shape}, {picture.dtype}; expected uint8, (height, width, 3).")
    picture = shrunk(picture)
    (height, width), grey = picture.shape[:2], picture.mean(axis=(0, 1)).round()
    boxes, copies = _boxes(height, width, n_patches), [picture]
    for top, bottom, left, right in boxes:
        copies.append(picture.copy())
        copies[-1][top:bottom, left:right] = grey
    table = pd.DataFrame(boxes / np.array([height, height, width, width]), columns=PATCH_COLUMNS[:4])
    return table.assign(effect=_effects(copies, predict, class_number))


def _boxes(height: int, width: int, n_patches: int) -> np.ndarray:
    """Patches that cover the picture once: top, bottom, left, right in pixels, shape (n, 4)."""
    side = max(height, width) / n_patches
    lines, columns = (
        np.unique(np.linspace(0, length, max(round(length / side), 1) + 1).round().astype(int))
        for length in (height, width)
    )
    return np.array(
        [(top, bottom, left, right) for top, bottom in pairwise(lines) for left, right in pairwise(columns)]
    )


def loudest_stretch(samples: np.ndarray, seconds: float = MOST_SECONDS) -> tuple[np.ndarray, float]:
    """The stretch of ``seconds`` with the most energy, and its start in seconds; a shorter sound as it is, and 0."""
    length = round(seconds * RATE)
    if len(samples) <= length:
        return samples, 0.0
    energy = np.concatenate([[0], np.square(samples, dtype=np.float64).cumsum()])
    start = int(np.argmax(energy[length:] - energy[:-length]))
    return samples[start : start + length], start / RATE


def mute_bands(samples: np.ndarray, predict: Predict, class_number: int) -> pd.DataFrame:
    """How much each of ``N_BANDS`` of a sound's frequencies holds up the probability of one class.

    The bands have equal width in mel (O'Shaughnessy, 1987), from 0 Hz to 8 kHz.

    Parameters
    ----------
    samples : mono, 16 kHz, shape (n_samples,), as ``files.read_audio`` returns them; of a sound longer than
        ``MOST_SECONDS`` its ``loudest_stretch`` is asked about, as a sound of its own
    predict : sounds like this one to probabilities of shape (n_sounds, n_classes); it is asked once

    Returns a DataFrame with low, high (Hz) and effect (probability of the whole sound minus that without the band).
    Raises ValueError for samples of another shape, or none.
    """
    samples = _checked(samples)[0]
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), N_BANDS + 1) / 2595) - 1)
    spectrum, frequencies = np.fft.rfft(samples), np.fft.rfftfreq(len(samples), 1 / RATE)
    band = np.searchsorted(edges[1:-1], frequencies, side="right")
    muted = (np.fft.irfft(np.where(band == i, 0, spectrum), len(samples)) for i in range(N_BANDS))
    sounds = [samples, *(values.astype(np.float32) for values in muted)]
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "effect": _effects(sounds, predict, class_number)})


def mute_windows(samples: np.ndarray, predict: Predict, class_number: int) -> pd.DataFrame:
    """How much each moment of a sound holds up the probability of one class.

    Takes and raises what ``mute_bands`` does. Each of ``N_WINDOWS`` moments of equal length gives way to noise with the
    sound's own usual spectrum: silence, which many sounds nowhere have, would itself be a sign (Mishra and others, 2020).

    Returns a DataFrame with start, end (seconds of the whole sound) and effect.
    """
    samples, begin = _checked(samples)
    times, usual = np.arange(len(samples)) / RATE, _usual_noise(samples)
    edges = np.linspace(0, len(samples) / RATE, N_WINDOWS + 1)
    shares = (
        np.interp(times, [start - _RAMP, start, end, end + _RAMP], [0, 1, 1, 0]) for start, end in pairwise(edges)
    )
    sounds = [samples, *((samples + share * (usual - samples)).astype(np.float32) for share in shares)]
    effects = _effects(sounds, predict, class_number)
    return pd.DataFrame({"start": begin + edges[:-1], "end": begin + edges[1:], "effect": effects})


def _usual_noise(samples: np.ndarray) -> np.ndarray:
    """Noise as long as ``samples``, each frequency at its median over time: the room rather than the event (Stahl and
    others, 2000)."""
    padded = np.pad(samples, (0, max(0, 512 - len(samples))))
    white = np.random.default_rng(0).standard_normal(len(padded))
    (*_, sound), (*_, noise) = (stft(values, RATE, nperseg=512, noverlap=384) for values in (padded, white))
    level = np.median(np.abs(sound), axis=1) / np.sqrt(np.square(np.abs(noise)).mean(axis=1))
    return istft(noise * level[:, None], RATE, nperseg=512, noverlap=384)[1][: len(samples)]


def _checked(samples: np.ndarray) -> tuple[np.ndarray, float]:
    if np.ndim(samples) != 1 or not len(samples):
        raise ValueError(f"Samples of shape {np.shape(samples)}; expected (n_samples,) and one sample at least.")
    return loudest_stretch(samples)


def strongest_verdicts(*tables: pd.DataFrame) -> list[tuple[str, str, dict]]:
    """Key, grade and facts of the largest effect in each of ``tables`` that has a line: words, patches, bands, moments.

    They are told apart by their columns; points are those by which the probability moves when the place is left out.
    """
    return [_verdict(table.loc[table["effect"].abs().idxmax()]) for table in tables if len(table)]


def _verdict(line: pd.Series) -> tuple[str, str, dict]:
    points = {"points": f"{0 - 100 * line['effect']:+.2g}"}
    if "word" in line:
        return "strongest word", "note", points | {"word": shortened(line["word"], 40)}
    if "top" in line:
        across, down = (100 * (line[a] + line[b]) / 2 for a, b in (("left", "right"), ("top", "bottom")))
        return "strongest patch", "note", points | {"across": f"{across:.0f}", "down": f"{down:.0f}"}
    if "low" in line:
        return "strongest band", "note", points | {"low": f"{line['low']:.0f}", "high": f"{line['high']:.0f}"}
    return "strongest moment", "note", points | {"start": f"{line['start']:.2f}", "end": f"{line['end']:.2f}"}
