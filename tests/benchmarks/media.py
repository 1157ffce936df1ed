"""Pictures and sounds alone: how well are they recognised, and how fast? Writes reports/benchmarks/media.json.

Sounds: FSDD's official split (recordings 0 to 4 are the test) and one speaker left out at a time; MFCC with an MLP,
beside a linear classifier on the same MFCC and always answering the commonest digit; the CNN over mel bands on the
official split.
Pictures: 10,000 handwritten digits, 8,000 to train, 1,000 to stop on, 1,000 to test; the CNN alone, and an MLP over it.
Times are of a process of its own, first imports included, with the machine's load beside them: where others use the
machine, the wall seconds are an upper bound and the processor seconds tell the work. Needs the data folder beside the
project (FUSEBOOK_DATA names another); what is absent is skipped with a line that says so.
"""

import gzip
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import rows
from PIL import Image
from sklearn.linear_model import LogisticRegression

from fusebook import Dataset, Features, Network
from fusebook.data import files
from fusebook.encoders import audio, image
from fusebook.evaluation import intervals

COMMAND = "make bench-media"
DATA = Path(os.environ.get("FUSEBOOK_DATA", Path(__file__).parents[3] / "shared" / "data"))
SPLIT = np.repeat(["train", "validation", "test"], [8000, 1000, 1000])
SIZE = 32  # pixels a side for the digits of 28

TIMED_SOUNDS = """
import sys, time
start = time.perf_counter()
from pathlib import Path
from fusebook.encoders import audio
paths = sorted(map(str, Path(sys.argv[1]).glob("*.wav")))
made = audio.AudioEncoder().fit(paths, [0] * len(paths)).transform(paths)
print(len(made), time.perf_counter() - start, time.process_time())
"""

TIMED_PICTURES = f"""
import sys, time
start = time.perf_counter()
import numpy as np
from pathlib import Path
from fusebook.encoders import image
paths = sorted(map(str, Path(sys.argv[1]).glob("*.png")))
labels = np.load(Path(sys.argv[1]) / "labels.npy")
encoder = image.ImageEncoder({SIZE}, epochs=12, mirror=False)
encoder.fit(paths, labels, validation=(paths[:1000], labels[:1000]))
print(len(paths), time.perf_counter() - start, time.process_time())
"""


def timed(set_name: str, name: str, code: str, folder: Path) -> list[dict]:
    """Wall and processor seconds of ``code`` from before the first import, in a process of its own."""
    command = [sys.executable, "-c", code, str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    count, wall, processor = made.stdout.split()[-3:]
    name = f"{name}, {count} files, load {os.getloadavg()[0]:.1f}"
    return [
        rows.row(set_name, name, "wall seconds", float(wall)),
        rows.row(set_name, name, "processor seconds, all cores", float(processor)),
    ]


def mlp_right(features: np.ndarray, labels: np.ndarray, split: np.ndarray) -> np.ndarray:
    """Which test rows an MLP of the usual size gets right; it stops on the validation rows."""
    table = pd.DataFrame({"label": [f"{label:02}" for label in labels], "split": split})
    there = np.ones(len(labels), bool)
    data = Dataset.of_rows(table, Features({"image": features}, {"image": there}))
    network = Network(epochs=40, patience=5).fit(data)
    return network.predict(data.test).argmax(axis=1) == data.test.labels


def shares(set_name: str, name: str, right: np.ndarray) -> dict:
    low, high = intervals.wilson_interval(right.mean(), len(right))
    return rows.row(set_name, name, "test accuracy", float(right.mean()), float(low), float(high))


# --- Sounds -------------------------------------------------------------------------------------------


def with_validation(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The split by row: a tenth of the training rows, drawn at random, is for validation."""
    split = np.where(test, "test", np.where(train, "train", "")).astype("U10")
    chosen = np.random.default_rng(42).permutation(np.flatnonzero(train))
    split[chosen[: len(chosen) // 10]] = "validation"
    return split


def sound_features(paths: list[str], labels: np.ndarray, split: np.ndarray, kind: str) -> np.ndarray:
    """Features of all rows, learnt on the training rows of ``split``."""
    learn, watch = ([paths[i] for i in np.flatnonzero(split == name)] for name in ("train", "validation"))
    encoder = audio.AudioEncoder(kind)
    encoder.fit(learn, labels[split == "train"], validation=(watch, labels[split == "validation"]))
    return encoder.transform(paths)


def judge_sounds(paths: list[str], labels: np.ndarray, split: np.ndarray) -> dict[str, np.ndarray]:
    """Which test rows each model that reads MFCC gets right, by the model's name."""
    test, learn = split == "test", (split == "train") | (split == "validation")
    features = sound_features(paths, labels, split, "mfcc")
    linear = LogisticRegression(max_iter=2000).fit(features[learn], labels[learn])
    return {
        "majority": labels[test] == np.bincount(labels[learn]).argmax(),
        "MFCC + linear": linear.predict(features[test]) == labels[test],
        "MFCC + MLP": mlp_right(features, labels, split),
    }


def sounds(folder: Path) -> list[dict]:
    with tarfile.open(next((DATA / "fsdd").glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    paths = sorted(map(str, folder.rglob("*.wav")))
    made = timed("FSDD", "fit and transform", TIMED_SOUNDS, Path(paths[0]).parent)
    parts = [Path(path).stem.split("_") for path in paths]
    labels, speakers, numbers = (np.array(column) for column in zip(*parts, strict=True))
    labels, official = labels.astype(int), numbers.astype(int) < 5
    split = with_validation(~official, official)
    judged = judge_sounds(paths, labels, split)
    judged["CNN over mel bands + MLP"] = mlp_right(sound_features(paths, labels, split, "cnn"), labels, split)
    made += [shares("FSDD, official split", name, right) for name, right in judged.items()]
    return made + left_out(paths, labels, speakers)


def left_out(paths: list[str], labels: np.ndarray, speakers: np.ndarray) -> list[dict]:
    """One speaker left out at a time: accuracy by speaker, and the mean with its spread over speakers."""
    right = {
        speaker: judge_sounds(paths, labels, with_validation(speakers != speaker, speakers == speaker))
        for speaker in sorted(set(speakers))
    }
    made = [
        shares(f"FSDD without {speaker}", name, values)
        for speaker, judged in right.items()
        for name, values in judged.items()
        if name == "MFCC + MLP"
    ]
    for name in next(iter(right.values())):
        by_speaker = [float(judged[name].mean()) for judged in right.values()]
        ends = min(by_speaker), max(by_speaker)
        mean = float(np.mean(by_speaker))
        made.append(rows.row("FSDD, one speaker left out", name, "mean accuracy (low, high)", mean, *ends))
    return made


# --- Pictures -----------------------------------------------------------------------------------------


def write_digits(folder: Path) -> tuple[list[str], np.ndarray]:
    """MNIST's 10,000 test pictures as PNG files, and their labels, also in labels.npy."""
    with gzip.open(DATA / "mnist" / "t10k-images-idx3-ubyte.gz") as file:
        pictures = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(DATA / "mnist" / "t10k-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8).astype(int)
    paths = [folder / f"{i:05}.png" for i in range(len(pictures))]
    for path, pixels in zip(paths, pictures, strict=True):
        Image.fromarray(pixels).save(path)
    np.save(folder / "labels.npy", labels)
    return list(map(str, paths)), labels


def pictures(folder: Path) -> list[dict]:
    paths, labels = write_digits(folder)
    made = timed("MNIST 10,000", "CNN training, 12 epochs", TIMED_PICTURES, folder)
    part = {name: ([paths[i] for i in np.flatnonzero(name == SPLIT)], labels[name == SPLIT]) for name in set(SPLIT)}
    options = {"epochs": 12, "mirror": False}
    encoder = image.ImageEncoder(SIZE, **options).fit(*part["train"], validation=part["validation"])
    answers = encoder.network_.predict(files.read_images(part["test"][0], SIZE), verbose=0).argmax(axis=1)
    judged = {"CNN itself": answers == part["test"][1]}
    judged["CNN + MLP"] = mlp_right(encoder.transform(paths), labels, SPLIT)
    common = np.bincount(part["train"][1]).argmax()
    judged["majority"] = part["test"][1] == common
    return made + [shares("MNIST 10,000, 1,000 held out", name, right) for name, right in judged.items()]


def main() -> None:
    made = []
    for name, measure in (("fsdd", sounds), ("mnist", pictures)):
        if not (DATA / name).is_dir():
            print(f"No {name} in {DATA}: left out. FUSEBOOK_DATA names the folder.")
            continue
        with TemporaryDirectory() as folder:
            made += measure(Path(folder))
    if made:
        rows.write("media", COMMAND, made)


if __name__ == "__main__":
    main()
