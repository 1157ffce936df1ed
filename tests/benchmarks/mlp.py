"""The 100-50 MLP on 10,000 x 100 random features, 5 classes, batch 32, 10 epochs: Keras on JAX against tf.keras.

Run by `make bench-mlp`: both train in turn, each in a process of its own, and the ratio is taken pair by pair.
Compiled networks come from the disk cache, as in daily work; one row says what the very first fit takes.
TensorFlow is needed for this alone, so it gets its own environment, .venv-tensorflow, made at the first call; where it
can't be installed the row says so.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import rows

COMMAND = "make bench-mlp"
PAIRS = 5
SET = "random 10,000 x 100"
TENSORFLOW = Path(".venv-tensorflow")

DATA = """
import time, numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(10_000, 100)).astype("float32")
labels = rng.integers(0, 5, 10_000)
"""

OURS = (
    DATA
    + """
from fusebook.models import layers
import keras
start = time.perf_counter()
network = layers.build_mlp({"x": 100}, 5)
network.fit({"x": X}, keras.utils.to_categorical(labels, 5), batch_size=32, epochs=10, verbose=0)
print("seconds", time.perf_counter() - start)
"""
)

THEIRS = (
    DATA
    + """
import tensorflow as tf
layers = tf.keras.layers
start = time.perf_counter()
network = tf.keras.Sequential([layers.Input((100,)), layers.Dense(100, "relu"), layers.Dense(50, "relu"), layers.Dense(5, "softmax")])
network.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
network.fit(X, tf.keras.utils.to_categorical(labels, 5), batch_size=32, epochs=10, verbose=0)
print("seconds", time.perf_counter() - start)
"""
)


def tensorflow_python() -> Path | None:
    """The Python of an environment that has TensorFlow, made where it is missing; None where that fails."""
    python = TENSORFLOW / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        venv.create(TENSORFLOW, with_pip=True)
    has = subprocess.run([python, "-c", "import tensorflow"], capture_output=True).returncode == 0
    if not has:
        print("installing TensorFlow into .venv-tensorflow …")
        has = subprocess.run([python, "-m", "pip", "install", "--quiet", "tensorflow-cpu"]).returncode == 0
    return python if has else None


def seconds(python: str | Path, code: str, backend: str, **variables: str) -> float:
    """The training seconds that ``code`` prints in a fresh process; build and compile count, imports do not."""
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "KERAS_BACKEND": backend} | variables
    made = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, env=quiet)
    return float(made.stdout.split("seconds")[-1])


def main() -> None:
    python = tensorflow_python()
    pairs = []
    for _ in range(PAIRS):
        ours = seconds(sys.executable, OURS, "jax")
        pairs.append((ours, seconds(python, THEIRS, "tensorflow") if python else None))
        print(*pairs[-1])
    with tempfile.TemporaryDirectory() as empty:
        first = seconds(sys.executable, OURS, "jax", JAX_COMPILATION_CACHE_DIR=empty)
    own = [ours for ours, _ in pairs]
    made = [rows.row(SET, "Keras on JAX", "fit, s", statistics.median(own), min(own), max(own))]
    made.append(rows.row(SET, "Keras on JAX, nothing compiled before", "fit, s", first))
    if python:
        other = [theirs for _, theirs in pairs]
        ratios = [theirs / ours for ours, theirs in pairs]
        made.append(rows.row(SET, "tf.keras", "fit, s", statistics.median(other), min(other), max(other)))
        made.append(
            rows.row(SET, "tf.keras / Keras on JAX", "ratio", statistics.median(ratios), min(ratios), max(ratios))
        )
    else:
        made.append(rows.row(SET, "tf.keras", "skipped: TensorFlow could not be installed", float("nan")))
    rows.write("mlp", COMMAND, made)


if __name__ == "__main__":
    main()
