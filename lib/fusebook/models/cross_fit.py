"""Answers about rows that a model was not trained on: what a model is calibrated, joined and chosen by.

Notebook 03_train tells the story.
"""

from functools import cached_property

import numpy as np
import pandas as pd
from tqdm import tqdm

from fusebook.data.dataset import Dataset, Folds
from fusebook.data.predictions import Predictions
from fusebook.models.baselines import MAJORITY, Baselines
from fusebook.models.bundle import Models


class HeldOut:
    """What models say of rows that they were not trained on.

    A small table was dealt into ``folds``: then these are all training and validation rows, each answered by networks
    that were trained anew, with the same recipe, on the folds without it (cross-fitting; Stone, 1974; the votes of a
    stack, Wolpert, 1992). Each fold's networks have a seed of their own. Of a large table they are the validation rows,
    answered by ``trained`` itself.

    Parameters
    ----------
    trained : ``Models`` whose networks are fitted
    data : all rows
    folds : ``Folds`` of ``data``, perhaps none

    Attributes
    ----------
    votes : what each network says, before its temperature
    baselines : what ``Baselines`` say of the same rows, fitted on the folds; the class shares are those of all training
        rows, as they are for the test rows; made when first asked for
    """

    def __init__(self, trained: Models, data: Dataset, folds: Folds):
        self.trained, self.folds = trained, folds
        self._splits = data.rows.set_index("row")["split"]  # in its fold a held-out row is a test row
        self.votes = self._votes() if folds else trained.votes(data.validation)

    def _votes(self) -> Predictions:
        recipe, made = self.trained.recipe, []
        for number, fold in enumerate(tqdm(self.folds, "folds", leave=False, delay=5), 1):
            seed = recipe.get("random_state", 42) + number
            models = Models(modality_dropout=self.trained.modality_dropout, **recipe | {"random_state": seed})
            votes = models.fit_parts(fold).fit_joint(fold).votes(fold.test)
            shares = np.tile(models.prior_, (votes.n_rows, 1))  # where a fold has no row to train a network on
            votes = votes | {name: shares for name in self.trained if name not in votes}
            made.append(self._of_fold(votes.only(self.trained), number))
        return Predictions.joined(made)

    @cached_property
    def baselines(self) -> Predictions:
        """Made when it is first asked for."""
        answers = [Baselines().fit(fold).predict(fold.test) for fold in self.folds]
        made = Predictions.joined([self._of_fold(each, number) for number, each in enumerate(answers, 1)])
        # One most frequent label for the whole run: that of each fold would be another where two are about as frequent.
        return made | {MAJORITY: np.tile(self.trained.prior_, (made.n_rows, 1))}

    def scored(self, tested: Predictions) -> Predictions:
        """The answers that scores rest on: those of the folds with ``tested``, about the test rows, below; else ``tested``.

        Models that did not answer both are left out.
        """
        if not self.folds:
            return tested
        return Predictions.joined([self.baselines | self.trained.held_out(self.votes), tested])

    def table(self) -> pd.DataFrame:
        """One line a fold: the rows to train on, for validation, and held out; no line where there are no folds."""
        return self.folds.table()

    def _of_fold(self, predictions: Predictions, number: int) -> Predictions:
        splits = predictions.rows["row"].map(self._splits)
        return Predictions(predictions, predictions.rows.assign(fold=number, split=splits), predictions.label_names)
