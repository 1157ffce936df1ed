"""Decision-level fusion: joining the class probabilities of one model a modality, row by row.

Notebook 03_train tells the story. Pure NumPy and scikit-learn; a part that a row lacks has no vote.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

RULES = ("mean", "product", "weighted", "stacked")
_STACK_SPREAD = 0.1  # standard deviation expected of the stack's coefficients around those of the product rule


class DecisionFusion:
    """Join probabilities of several models by one rule.

    mean : the average of the votes
    product : the normalised product of the votes over the class shares (product of experts; Hinton, 2002)
    weighted : the same with a weight for each vote as exponent, learnt on validation rows (logarithmic opinion pool;
        Genest and Zidek, 1986); a vote that is alone in its row is left as it is
    stacked : multinomial logistic regression over all log probabilities (Wolpert, 1992), learnt on validation rows

    What is learnt leaves a simpler rule only as far as the validation rows say, so that few rows, or rows of a kind, are
    not learnt by heart: a penalty holds the weights near 1, the product rule, and the regression near the rule weighted.

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
        Raises ValueError, as ``predict`` does, where a modality has votes or bools only.
        """
        self.names_ = sorted(votes)
        labels = np.asarray(labels, int)
        if self.rule in ("weighted", "stacked"):
            self.weights_ = self._weigh(*self._arrays(votes, present), labels)
        if self.rule == "stacked":
            self.coefficients_, self.intercept_ = self._stack(self._columns(votes, present), labels)
        return self

    def predict(self, votes: dict[str, np.ndarray], present: dict[str, np.ndarray]) -> np.ndarray:
        """Probabilities of shape (n_rows, n_classes); rows sum to 1. A row with no part gets the class shares."""
        logs, has = self._arrays(votes, present)
        if self.rule == "mean":
            joined = (np.exp(logs) * has[..., None]).sum(axis=0) / np.maximum(has.sum(axis=0), 1)[:, None]
        elif self.rule == "product":
            joined = softmax(self._log_prior + self._ratios(logs, has).sum(axis=0), axis=1)
        elif self.rule == "weighted":
            weights = np.where(has.sum(axis=0) == 1, 1.0, self.weights_[:, None])
            joined = softmax(self._log_prior + (weights[..., None] * self._ratios(logs, has)).sum(axis=0), axis=1)
        else:
            joined = softmax(self._columns(votes, present) @ self.coefficients_.T + self.intercept_, axis=1)
        return np.where(has.any(axis=0)[:, None], joined, self.prior)

    def _arrays(self, votes, present) -> tuple[np.ndarray, np.ndarray]:
        if missing := [name for name in self.names_ if name not in votes or name not in present]:
            raise ValueError(
                f"No votes, or no bools of presence, for {', '.join(missing)}; expected both for each of "
                f"{', '.join(self.names_)}. Say that a part is missing by bools that are False."
            )
        logs = np.stack([np.log(np.clip(votes[name], 1e-12, 1)) for name in self.names_])
        return logs, np.stack([np.asarray(present[name], bool) for name in self.names_])

    def _columns(self, votes, present) -> np.ndarray:
        return np.hstack(self._ratios(*self._arrays(votes, present)))

    def _ratios(self, logs: np.ndarray, has: np.ndarray) -> np.ndarray:
        """Log of vote over class share. Nought, which is what the shares say, for a missing part and an unlearnt class."""
        return np.where(has[..., None] & (self.prior > 0), logs - self._log_prior, 0.0)

    def _weigh(self, logs: np.ndarray, has: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The weight of each part; their logs are expected around 0, with a standard deviation of 1."""
        several = has.sum(axis=0) > 1  # a vote that is alone has no weight to learn
        ratios, labels = self._ratios(logs, has)[:, several], labels[several]

        def loss(powers: np.ndarray) -> float:
            joined = self._log_prior + np.tensordot(np.exp(powers), ratios, 1)
            return (powers**2).sum() / 2 - log_softmax(joined, axis=1)[np.arange(len(labels)), labels].sum()

        return np.exp(minimize(loss, np.zeros(len(ratios)), method="BFGS").x)

    def _stack(self, columns: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients of shape (n_classes, n_columns) and intercepts, held near the rule weighted by a penalty."""
        n_classes = len(self.prior)
        start = np.column_stack([np.hstack([weight * np.eye(n_classes) for weight in self.weights_]), self._log_prior])
        columns, truth = np.column_stack([columns, np.ones(len(columns))]), np.eye(n_classes)[labels]

        def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
            moved = flat.reshape(start.shape)
            logs = log_softmax(columns @ (start + moved).T, axis=1)
            slope = (np.exp(logs) - truth).T @ columns + moved / _STACK_SPREAD**2
            return (moved**2).sum() / (2 * _STACK_SPREAD**2) - (truth * logs).sum(), slope.ravel()

        found = minimize(loss, np.zeros(start.size), jac=True, method="L-BFGS-B").x.reshape(start.shape)
        return (start + found)[:, :-1], (start + found)[:, -1]

    def to_json(self) -> dict:
        """All that was learnt, as plain lists."""
        names = ("weights_", "coefficients_", "intercept_")
        learnt = {name: getattr(self, name).tolist() for name in names if hasattr(self, name)}
        return {"rule": self.rule, "prior": self.prior.tolist(), "names": self.names_, **learnt}

    @classmethod
    def from_json(cls, value: dict) -> "DecisionFusion":
        """The object that ``to_json`` described. Raises ValueError where arrays lack, are not finite or of another shape."""
        fusion = cls(value["rule"], np.array(value["prior"], float))
        fusion.names_, n_classes, n_parts = value["names"], len(fusion.prior), len(value["names"])
        shapes = {"weights_": (n_parts,)} if fusion.rule in ("weighted", "stacked") else {}
        if fusion.rule == "stacked":
            shapes |= {"coefficients_": (n_classes, n_classes * n_parts), "intercept_": (n_classes,)}
        for name, shape in shapes.items():
            learnt = np.array(value.get(name, []), float)
            if learnt.shape != shape or not np.isfinite(learnt).all():
                raise ValueError(
                    f"The rule {fusion.rule} has {name} of shape {learnt.shape}; expected {shape}, all of them finite."
                )
            setattr(fusion, name, learnt)
        return fusion
