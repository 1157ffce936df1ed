"""Decision-level fusion: joining the class probabilities of one model a modality, row by row.

Notebook 03_train tells the story. Pure NumPy and scikit-learn; a part that a row lacks has no vote.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

RULES = ("mean", "product", "weighted", "stacked")


class DecisionFusion:
    """Join probabilities of several models by one rule.

    mean : the average of the votes
    product : the normalised product of the votes over the class shares (product of experts; Hinton, 2002)
    weighted : a weighted average of log probabilities, weights learnt on validation rows
    stacked : logistic regression over all log probabilities (Wolpert, 1992), learnt on validation rows

    Parameters
    ----------
    rule : one of ``RULES``
    prior : class shares among the training rows, shape (n_classes,): the answer for a row without any part
    """

    def __init__(self, rule: str, prior: np.ndarray):
        if rule not in RULES:
            raise ValueError(f"The fusion rule is {rule!r}; expected one of {', '.join(RULES)}.")
        self.rule = rule
        self.prior = np.asarray(prior, np.float64)
        self._log_prior = np.log(np.maximum(self.prior, 1e-9))

    def fit(self, votes: dict[str, np.ndarray], present: dict[str, np.ndarray], labels) -> "DecisionFusion":
        """Learn weights on validation rows.

        ``votes``: modality to probabilities of shape (n_rows, n_classes); ``present``: modality to bools of shape
        (n_rows,); ``labels``: class numbers of shape (n_rows,). The rules mean and product learn nothing.
        """
        self.names_ = sorted(votes)
        labels = np.asarray(labels)
        if self.rule == "weighted":
            logs, there = self._arrays(votes, present)

            def loss(raw: np.ndarray) -> float:
                return -np.log(
                    _pool(logs, there, softmax(raw))[np.arange(len(labels)), labels] + 1e-12
                ).mean()

            best = minimize(loss, np.zeros(len(self.names_)), method="Nelder-Mead", options={"maxiter": 400})
            self.weights_ = softmax(best.x)
        elif self.rule == "stacked":
            self.coefficients_, self.intercept_ = self._stack(self._columns(votes, present), labels)
        return self

    def predict(self, votes: dict[str, np.ndarray], present: dict[str, np.ndarray]) -> np.ndarray:
        """Probabilities of shape (n_rows, n_classes); rows sum to 1. A row with no part gets the class shares."""
        logs, there = self._arrays(votes, present)
        if self.rule == "mean":
            joined = (np.exp(logs) * there[..., None]).sum(axis=0) / np.maximum(there.sum(axis=0), 1)[:, None]
        elif self.rule == "product":
            joined = softmax(self._log_prior + self._ratios(logs, there).sum(axis=0), axis=1)
        elif self.rule == "weighted":
            joined = _pool(logs, there, self.weights_)
        else:
            joined = softmax(self._columns(votes, present) @ self.coefficients_.T + self.intercept_, axis=1)
        return np.where(there.any(axis=0)[:, None], joined, self.prior)

    def _arrays(self, votes, present) -> tuple[np.ndarray, np.ndarray]:
        logs = np.stack([np.log(np.clip(votes[name], 1e-12, 1)) for name in self.names_])
        return logs, np.stack([np.asarray(present[name], bool) for name in self.names_])

    def _columns(self, votes, present) -> np.ndarray:
        return np.hstack(self._ratios(*self._arrays(votes, present)))

    def _ratios(self, logs: np.ndarray, there: np.ndarray) -> np.ndarray:
        """Log of vote over class share. Nought, which is what the shares say, for a missing part and an unlearnt class."""
        return np.where(there[..., None] & (self.prior > 0), logs - self._log_prior, 0.0)

    def _stack(self, columns: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One row of coefficients a class, also for two classes and for classes that no validation row has."""
        n_classes = len(self.prior)
        if len(np.unique(labels)) < 2:  # nothing to tell apart: the product rule, which stacking generalises
            return np.tile(np.eye(n_classes), len(self.names_)), self._log_prior
        stack = LogisticRegression(C=0.1, max_iter=1000).fit(columns, labels)
        coefficients, intercept = np.zeros((n_classes, columns.shape[1])), np.full(n_classes, -20.0)
        if len(stack.classes_) == 2:
            coefficients[stack.classes_[1]] = stack.coef_[0]
            intercept[stack.classes_] = 0.0, stack.intercept_[0]
        else:
            coefficients[stack.classes_] = stack.coef_
            intercept[stack.classes_] = stack.intercept_
        return coefficients, intercept

    def to_json(self) -> dict:
        """All that was learnt, as plain lists."""
        names = ("weights_", "coefficients_", "intercept_")
        learnt = {name: getattr(self, name).tolist() for name in names if hasattr(self, name)}
        return {"rule": self.rule, "prior": self.prior.tolist(), "names": self.names_, **learnt}

    @classmethod
    def from_json(cls, value: dict) -> "DecisionFusion":
        """The object that ``to_json`` described."""
        value = dict(value)
        fusion = cls(value.pop("rule"), np.array(value.pop("prior")))
        fusion.names_ = value.pop("names")
        for name, learnt in value.items():
            setattr(fusion, name, np.array(learnt))
        return fusion


def held_out(
    rule: str, prior, votes: dict, present: dict, labels, *, folds: int = 5, random_state: int = 42
) -> np.ndarray:
    """Joined probabilities of rows that the rule has not learnt from, by k-fold: what to choose a rule by.

    Arguments as for ``DecisionFusion.fit``. Returns an array of shape (n_rows, n_classes). A single row, which leaves
    none to learn from, gets the class shares.
    """
    labels = np.asarray(labels)
    result = np.tile(np.asarray(prior, np.float64), (len(labels), 1))
    if len(labels) < 2:
        return result
    parts = KFold(min(folds, len(labels)), shuffle=True, random_state=random_state)
    for learn, answer in parts.split(labels):
        fusion = DecisionFusion(rule, prior).fit(_rows(votes, learn), _rows(present, learn), labels[learn])
        result[answer] = fusion.predict(_rows(votes, answer), _rows(present, answer))
    return result


def _rows(arrays: dict, chosen: np.ndarray) -> dict:
    return {name: values[chosen] for name, values in arrays.items()}


def _pool(logs: np.ndarray, there: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted geometric mean of the votes that are there (logarithmic opinion pool; Genest and Zidek, 1986)."""
    # A part of hardly any weight still speaks where it is alone.
    share = np.maximum(weights, 1e-9)[:, None] * there
    share = share / np.maximum(share.sum(axis=0), 1e-12)
    return np.exp(log_softmax((logs * share[..., None]).sum(axis=0), axis=1))
