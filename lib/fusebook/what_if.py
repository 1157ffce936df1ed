"""What would the models say if a row were otherwise: with another text, without a part, its votes joined another way?

Notebook 05_inspect tells the story.
"""

import numpy as np
import pandas as pd

from fusebook.bundle import Bundle
from fusebook.fusion import DecisionFusion

OWN = "your fusion"  # how the fusion with weights of one's own is called beside the models
RULES = ("mean", "product")


def votes_of_row(bundle: Bundle, row: pd.DataFrame, *, without: tuple[str, ...] = ()) -> pd.DataFrame:
    """Every model's probabilities for one row (a DataFrame of one line): labels as rows, models as columns."""
    made = bundle.predict_all(row, without=without)
    return pd.DataFrame(
        {name: values[0] for name, values in made.items()}, index=pd.Index(bundle.label_names, name="label")
    )


def edited_row(
    bundle: Bundle, row: pd.DataFrame, text: str | None = None, *, without: tuple[str, ...] = ()
) -> pd.DataFrame:
    """``row`` (a DataFrame of one line) with ``text`` in place of its own, and without the parts named in ``without``.

    A text of blanks alone is no text. Raises ValueError where the bundle does not read a part of ``without``.
    """
    bundle.check_parts(without)
    text = row["text"].iloc[0] if text is None else text
    return row.assign(**{"text": text if text.strip() else ""} | dict.fromkeys(without, ""))


def predict_edited(
    bundle: Bundle,
    row: pd.DataFrame,
    text: str | None = None,
    *,
    without: tuple[str, ...] = (),
    rule: str = "",
    weights: dict[str, float] | None = None,
) -> pd.DataFrame:
    """What each model says of ``row`` as it stands, and of ``edited_row``: model, label, before, after.

    Both are predicted at once, and so by the same program. Where there is a ``rule``, the single modalities' votes are
    joined by ``fuse_again`` too, as the last model, ``OWN``. Raises ValueError as ``edited_row`` and ``fuse_again`` do.
    """
    both = pd.concat([row, edited_row(bundle, row, text, without=without)], ignore_index=True)
    features, present = bundle.encode(both)
    made = bundle.models.predict(features, present)
    if rule:
        votes = {name: made[name] for name in bundle.modalities}
        made[OWN] = fuse_again(votes, present, rule, prior=bundle.models.prior, weights=weights)
    tables = [
        pd.DataFrame({"model": name, "label": bundle.label_names, "before": values[0], "after": values[1]})
        for name, values in made.items()
    ]
    return pd.concat(tables, ignore_index=True)


def fuse_again(
    votes: dict[str, np.ndarray],
    present: dict[str, np.ndarray],
    rule: str,
    *,
    prior: np.ndarray,
    weights: dict[str, float] | None = None,
) -> np.ndarray:
    """Join the votes of single modalities with weights that a person gives.

    Parameters
    ----------
    votes, present : modality to probabilities of shape (n_rows, n_classes), and to bools of shape (n_rows,)
    rule : "mean", the weighted mean (linear opinion pool; Stone, 1961), or "product", the logarithmic pool of
        ``fusion.DecisionFusion``, in which a weight is an exponent
    prior : class shares of shape (n_classes,): the answer where nothing has a weight
    weights : modality to a number from 0 up, 1 where it is not named; a part of weight 0 counts as missing

    Returns probabilities of shape (n_rows, n_classes). Equal weights give the bundle's rules mean and product, the learnt
    ones the rule weighted. Raises ValueError for another rule, an unknown modality, or a weight that is no such number.
    """
    names = sorted(votes)
    given = dict.fromkeys(names, 1.0) | (weights or {})
    if rule not in RULES or set(given) != set(names):
        raise ValueError(
            f"Rule {rule!r} with weights for {', '.join(given)}; expected one of {', '.join(RULES)}, and weights for "
            f"{', '.join(names)}."
        )
    if bad := {name: value for name, value in given.items() if not 0 <= value < np.inf}:
        raise ValueError(f"The weights have {bad}; expected finite numbers from 0 up.")
    counted = {name: np.asarray(present[name], bool) & (given[name] > 0) for name in names}
    if rule == "mean":
        shares = np.stack([given[name] * counted[name] for name in names])  # (n_parts, n_rows)
        joined = np.einsum("pn,pnk->nk", shares, np.stack([votes[name] for name in names]))
        total = shares.sum(axis=0)[:, None]
        return np.where(total > 0, joined / np.where(total > 0, total, 1), prior)
    fusion = DecisionFusion("weighted", prior)
    fusion.names_, fusion.weights_ = names, np.array([given[name] for name in names])
    return fusion.predict(votes, counted)
