"""Fusebook: one labelled table in, MLP classifiers and an honest report out.

The notebooks tell the story; a few nouns carry it, and the rooms hold whatever takes more than a few lines:

    findings ▶ runs ▶ data ▶ encoders ▶ plots ▶ models ▶ evaluation ▶ errors ▶ inspection ▶ report ▶ cli
"""

import os
import platform
from pathlib import Path

import lazy_loader
from platformdirs import user_cache_dir

__version__ = "0.1.0"
ASSETS = Path(__file__).parent / "assets"

# Keras reads this once, at its first import. A person who has set it keeps their choice.
os.environ.setdefault("KERAS_BACKEND", "jax")

# JAX compiles each network anew in every process, which takes longer than training it on a small table: a second or
# two each, against a few tenths from a cache on disk. One folder a machine, as compiled code is made for its processor.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", user_cache_dir(f"fusebook-jax-{platform.node()}", appauthor=False))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

# Rooms and nouns are imported when they are first asked for: Keras and gensim take seconds.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["by_hand", "data", "encoders", "plots", "models", "evaluation", "errors", "inspection", "report"],
    submod_attrs={
        "runs": ["Run"],
        "findings": ["Findings"],
        "data.dataset": ["Dataset", "Folds"],
        "data.features": ["Features"],
        "data.predictions": ["Predictions"],
        "models.network": ["Network"],
        "models.bundle": ["Bundle", "Models"],
        "inspection.question": ["Question"],
    },
)
