"""Is fusion worth it on real data? Writes reports/benchmarks/fusion.json.

Digit pairs: each spoken digit of FSDD with a handwritten one of MNIST of the same class, under so much noise that
neither suffices alone. The speakers of training, validation and test rows differ. (Two sets that are not compatible
bear the name AV-MNIST; this is neither.) Tweets: 4,000 texts with their pictures and a sentiment (a part of MVSA; Niu
and others, 2016), split so that copies of a text or a picture stay together.

All models are trained with three seeds and judged on the same test rows; scores are of the first seed, with intervals
over rows. Gains are over the modality that is best on the test rows: with hindsight, so the hardest to beat. Needs the
data folder beside the project (FUSEBOOK_DATA names another); what is absent is skipped with a line that says so.
"""

import os
import sys
import tarfile
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import rows
from PIL import Image

from fusebook.data import fetch, known_sets, splits
from fusebook.data.dataset import Dataset
from fusebook.data.predictions import Predictions
from fusebook.encoders.audio import AudioEncoder
from fusebook.encoders.image import ImageEncoder
from fusebook.encoders.parts import Encoders
from fusebook.encoders.text import TextEncoder
from fusebook.evaluation.comparison import PairedTests
from fusebook.evaluation.fusion import fusion_numbers, fusion_table, shuffle_audit, subset_table
from fusebook.models.bundle import FEATURE_LEVEL, Models

DATA = Path(os.environ.get("FUSEBOOK_DATA", Path(__file__).parents[3] / "shared" / "data"))
SPEAKERS = {"nicolas": "validation", "theo": "test", "yweweler": "test"}  # the last in the alphabet; others train
NOISE = 170  # standard deviation of the noise on a handwritten digit, of 255
SEEDS, RATE = (0, 1, 2), 0.5  # of the networks; of modality dropout


# --- The two sets -------------------------------------------------------------------------------------


def read_digit_pairs(folder: Path) -> pd.DataFrame:
    """One row a spoken digit: audio, image (a noisy one of its class, none twice), text (none), label, split."""
    facts, read = known_sets.read_facts(), {}
    for name in ("fsdd", "mnist"):
        table = Path(fetch.fetch_dataset(name, facts[name], folder, copy=DATA / name)["table"])
        read[name] = pd.read_csv(table, dtype=str)
        column = next(iter(facts[name]["columns"]))
        read[name][column] = [str(table.parent / path) for path in read[name][column]]
    random, pairs = np.random.default_rng(42), read["fsdd"].assign(text="", image="")
    for label, chosen in pairs.groupby("label").groups.items():
        pool = read["mnist"].loc[read["mnist"]["label"] == label, "image"]
        pairs.loc[chosen, "image"] = random.choice(pool, len(chosen), replace=False)
    for path in pairs["image"]:
        pixels = np.asarray(Image.open(path), float)
        noisy = np.clip(pixels + random.normal(0, NOISE, pixels.shape), 0, 255)
        Image.fromarray(noisy.astype(np.uint8)).save(path)
    pairs["split"] = pairs["speaker"].map(SPEAKERS).fillna("train")
    return pairs[["text", "image", "audio", "label", "split"]].assign(group=range(len(pairs)))


def read_tweets(folder: Path) -> pd.DataFrame:
    """One row a tweet: text, image, audio (none), label, split by group of copies, and the group."""
    with tarfile.open(DATA / "tweets" / "tweets.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    table = pd.read_csv(next(folder.rglob("tweets.csv")), dtype=str, keep_default_na=False).assign(audio="")
    table["image"] = [str(next(folder.rglob("images")).parent / path) for path in table["image"]]
    table["group"] = splits.duplicate_images(table["image"].tolist(), splits.duplicate_texts(list(table["text"])))
    table["split"] = splits.split_rows(table["label"], table["group"])
    return table


def encode(table: pd.DataFrame, **options) -> Dataset:
    """The rows as numbers; everything learnt on the training rows."""
    data, encoders = Dataset.of_rows(table.assign(row=range(len(table)))), Encoders()
    encoders.fit("audio", AudioEncoder(), data).fit("image", ImageEncoder(**options), data)
    encoders.fit("text", TextEncoder(), data)
    return data.with_features(encoders.transform(data.rows, ngrams=encoders.ngrams(data.rows)))


# --- What is measured ---------------------------------------------------------------------------------


def measure(name: str, table: pd.DataFrame, **options) -> list[dict]:
    """All models' scores, gains, what an oracle would gain, what is lost without a part or with a shuffled one."""
    data = encode(table, **options)
    fits = [
        {rate: Models(modality_dropout=rate, random_state=seed).fit(data) for rate in (0.0, RATE)} for seed in SEEDS
    ]
    by_seed = [fit[RATE].predict(data.test) for fit in fits]
    best = max(data.parts, key=lambda part: by_seed[0].right(part).mean())
    by_seed[0] |= {"majority": np.tile(data.prior, (len(data.test), 1))}
    tests = PairedTests(by_seed[0], [(best, name) for name in fits[0][RATE].joins], by_seed=by_seed)
    scores = fusion_numbers(by_seed[0], by_seed, tests, best=best)
    print(name, fusion_table(by_seed[0], by_seed, tests, best=best).to_string(), sep="\n")
    made = score_rows(name, scores, best) + oracle_rows(name, by_seed[0], scores, data.prior)
    return made + missing_rows(name, fits, data.test) + shuffle_rows(name, fits[0][RATE], data.test)


def score_rows(name: str, scores: pd.DataFrame, best: str) -> list[dict]:
    made = []
    for model, line in scores.iterrows():
        for key in ("accuracy", "macro_f1"):
            made.append(rows.row(name, model, key, *(line[f"{key}{end}"] for end in ("", "_low", "_high"))))
            if line["seeds"] > 1:
                ends = [line[f"{key}_lowest"], line[f"{key}_highest"]]
                made.append(
                    rows.row(name, model, f"{key}, middle of {line['seeds']:.0f} seeds", float(np.mean(ends)), *ends)
                )
        if not np.isnan(line["gain"]):
            ends = [line["gain"], line["gain_low"], line["gain_high"]]
            made.append(rows.row(name, model, f"gain over {best}", *ends))
            made.append(rows.row(name, model, "p, Holm", line["p_holm"]))
            made.append(rows.row(name, model, "detectable gain", line["detectable"]))
    return made


def oracle_rows(name: str, predictions: Predictions, scores: pd.DataFrame, prior: np.ndarray) -> list[dict]:
    """The best accuracy that any weights from 0 to 2 in the product rule reach on the test rows, less the best fusion's."""
    ratios = [np.log(np.clip(predictions[part], 1e-12, 1)) - np.log(prior) for part in predictions.parts]
    joined = [
        np.log(prior) + sum(weight * ratio for weight, ratio in zip(weights, ratios, strict=True))
        for weights in product(np.linspace(0, 2, 21), repeat=len(ratios))
    ]
    oracle = max(float((values.argmax(axis=1) == predictions.labels).mean()) for values in joined)
    best = scores["accuracy"].drop(["majority", *predictions.parts]).max()
    return [
        rows.row(name, "oracle of weights on test rows", "accuracy", oracle),
        rows.row(name, "oracle of weights on test rows", "minus best fusion", float(oracle - best)),
    ]


def missing_rows(name: str, fits: list[dict], test: Dataset) -> list[dict]:
    """What the feature-level network loses with one part alone against that part's own network: mean (range) over seeds."""
    lost = {}
    for fit in fits:
        audited = {f"modality dropout {rate}": (models, FEATURE_LEVEL) for rate, models in fit.items()}
        found = subset_table(audited, test).set_index(["parts", "model"])["accuracy"]
        for part, shown in product(test.parts, audited):
            loss = float(found[part, "own network"] - found[part, shown])
            lost.setdefault((f"{FEATURE_LEVEL}, {shown}", f"lost with {part} alone"), []).append(loss)
    return [rows.row(name, *key, float(np.mean(values)), min(values), max(values)) for key, values in lost.items()]


def shuffle_rows(name: str, models: Models, test: Dataset) -> list[dict]:
    """Accuracy lost where one part is another row's."""
    found = shuffle_audit({model: (models, model) for model in (FEATURE_LEVEL, "decision-level product")}, test)
    return [
        rows.row(name, line.model, f"lost with {line.part} shuffled", line.drop, line.drop_low, line.drop_high)
        for line in found.itertuples()
    ]


def main() -> None:
    sets = {
        "digit pairs": (("fsdd", "mnist"), read_digit_pairs, {"size": 32, "mirror": False}),
        "tweets": (("tweets",), read_tweets, {}),
    }
    made = []
    for name, (folders, read, options) in sets.items():
        if absent := [folder for folder in folders if not (DATA / folder).is_dir()]:
            print(f"No {' and '.join(absent)} in {DATA}: {name} left out. FUSEBOOK_DATA names the folder.")
        elif name in (sys.argv[1:] or sets):
            with TemporaryDirectory() as folder:
                made += measure(name, read(Path(folder)), **options)
    if made:
        rows.write("fusion", "make bench-fusion", made)


if __name__ == "__main__":
    main()
