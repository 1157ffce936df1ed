"""Modules that a test file names at its top and that are imported at first use: Keras, JAX and gensim take seconds."""

import importlib

import fusebook  # noqa: F401 (chooses Keras's backend, before any test imports Keras)


class Lazy:
    """Stands for the module ``name``, also where monkeypatch sets or deletes what is in it."""

    __slots__ = ("name",)  # and no __dict__ of its own: monkeypatch finds the module's

    def __init__(self, name: str):
        object.__setattr__(self, "name", name)

    def __getattr__(self, attribute):
        return getattr(importlib.import_module(self.name), attribute)

    def __setattr__(self, attribute, value):
        setattr(importlib.import_module(self.name), attribute, value)

    def __delattr__(self, attribute):
        delattr(importlib.import_module(self.name), attribute)
