"""Fusebook: one labelled table in, MLP classifiers and an honest report out.

The notebooks tell the story; this package holds whatever takes more than a few lines.
"""

import os

__version__ = "0.1.0"

# Keras reads this once, at its first import. A person who has set it keeps their choice.
os.environ.setdefault("KERAS_BACKEND", "jax")
