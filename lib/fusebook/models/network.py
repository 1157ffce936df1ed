"""One multilayer perceptron (MLP) over the features of a data set: what is left open follows rows and features.

Notebook 03_train tells the story.
"""

import time

import numpy as np

from fusebook.data.dataset import Dataset
from fusebook.encoders.cnn import roomy
from fusebook.models import layers
from fusebook.models.calibration import calibrate, fit_temperature
from fusebook.models.training import fit_mlp, settings


class Network:
    """An MLP, trained on ``data.train``, stopped on ``data.validation``.

    Parameters
    ----------
    modality_dropout : share of a row's parts that training switches off, where the features have several parts
    patience : epochs without a better validation loss after which training stops; 0 never stops
    optimizer, random_state : as in ``layers.build_mlp``
    given : other options of ``layers.build_mlp`` and ``training.fit_mlp``, such as hidden or epochs; those that are 0 or
        empty follow the number of rows and what the network reads (``training.settings``)

    Attributes
    ----------
    keras_ : the Keras model
    parts_ : the parts that it reads
    plan_ : those options that followed rows and features, or were given in their place
    history_ : DataFrame of loss, accuracy, val_loss, val_accuracy by epoch
    seconds_ : how long building and training took
    temperature_ : what its probabilities are scaled with; 1 until ``calibrate``
    """

    def __init__(self, *, modality_dropout: float = 0.0, patience: int = 3, optimizer: str = "adam",
                 random_state: int = 42, **given):  # fmt: skip
        self.patience, self.given = patience, given
        self.fixed = {"modality_dropout": modality_dropout, "optimizer": optimizer, "random_state": random_state}

    def fit(self, data: Dataset) -> "Network":
        """Build and train. Raises as ``layers.build_mlp`` and ``training.fit_mlp`` do."""
        start, features = time.perf_counter(), data.features
        inputs = data.train.features.inputs
        build, fit = settings(len(data.train), inputs, n_classes=data.n_classes, **self.given)
        options, n_ngrams = build | self.fixed, features.n_ngrams and roomy(features.n_ngrams)
        self.keras_ = layers.build_mlp(features.sizes, data.n_classes, n_ngrams=n_ngrams, **options)
        watched = data.validation.features.inputs, data.validation.labels
        self.history_ = fit_mlp(
            self.keras_, inputs, data.train.labels, validation=watched, patience=self.patience, **fit
        )
        self.parts_, self.temperature_, self.plan_ = data.parts, 1.0, build | fit
        self.seconds_ = time.perf_counter() - start
        return self

    @classmethod
    def of_keras(cls, model, parts: list[str], temperature: float = 1.0) -> "Network":
        """A network around a Keras ``model`` that was trained before and reads ``parts``."""
        made = cls()
        made.keras_, made.parts_, made.temperature_ = model, parts, temperature
        return made

    def calibrate(self, data: Dataset) -> "Network":
        """Fit the temperature on rows that it was not trained on, as far as they have one of its parts."""
        known = data[self.reads(data)]
        if len(known):
            self.temperature_ = fit_temperature(self.predict_raw(known), known.labels)
        return self

    def reads(self, data: Dataset) -> np.ndarray:
        """Which rows have one of its parts: bools of shape (n_rows,)."""
        return np.any([data.features.present[part] for part in self.parts_], axis=0)

    def predict(self, data: Dataset) -> np.ndarray:
        """Class probabilities at the temperature, shape (n_rows, n_classes); of a row without its parts they say nothing."""
        return calibrate(self.predict_raw(data), self.temperature_)

    def predict_raw(self, data: Dataset) -> np.ndarray:
        """Class probabilities before the temperature, shape (n_rows, n_classes)."""
        features = data.features if len(self.parts_) > 1 else data.features.of(self.parts_[0])
        return layers.predict(self.keras_, features.inputs)
