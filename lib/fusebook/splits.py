"""Which rows say the same, and a split into training, validation and test rows that never parts them.

Notebooks 01_explore and 02_preprocess tell the story.
"""

import math

import numpy as np
import pandas as pd
from datasketch import MinHash, MinHashLSH
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import train_test_split


def find_duplicates(texts: list[str], *, threshold: float = 0.8, permutations: int = 128) -> np.ndarray:
    """Group texts that are the same or nearly so (MinHash over 3-character shingles; Broder, 1997).

    Returns an int array of shape (n_texts,): rows with the same number belong together; an empty text stands alone.
    """
    normalised = ["".join(text.lower().split()) for text in texts]
    distinct = {text: i for i, text in reversed(list(enumerate(normalised))) if text}
    shingles = [{text[j : j + 3].encode() for j in range(max(1, len(text) - 2))} for text in distinct]
    hashes = MinHash.bulk(shingles, num_perm=permutations, seed=1)
    # Of two errors the index should rather make the harmless one: a candidate too many, not a pair too few.
    index = MinHashLSH(threshold=0.8 * threshold, num_perm=permutations, weights=(0.1, 0.9))
    shingles_of = dict(zip(distinct.values(), shingles, strict=True))
    pairs = [(i, distinct[text]) for i, text in enumerate(normalised) if text]
    for (first, own), minhash in zip(shingles_of.items(), hashes, strict=True):
        for other in index.query(minhash):  # the hash may err, the count of shared shingles does not
            if len(own & shingles_of[other]) >= threshold * len(own | shingles_of[other]):
                pairs.append((first, other))
        index.insert(first, minhash)
    left, right = np.array(pairs, dtype=int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(left)), (left, right)), shape=(len(texts), len(texts)))
    return connected_components(graph, directed=False)[1]


def split_rows(
    labels: pd.Series,
    groups: np.ndarray,
    *,
    test_share: float = 0.2,
    validation_share: float = 0.1,
    random_state: int = 42,
) -> np.ndarray:
    """Split rows into train, validation and test, stratified by label; a group never stands on two sides.

    Without duplicates the test rows are those of scikit-learn's ``train_test_split(stratify=labels)``.

    A table so small that its share has fewer rows than there are labels gives one row a label.

    Returns an array of str of shape (n_rows,). Raises ValueError where a share leaves a split without rows.
    """
    for name, share in (("test_share", test_share), ("validation_share", validation_share)):
        if not 0 < share < 0.9:
            raise ValueError(f"{name} is {share}; expected a share between 0 and 0.9, such as 0.2.")
    if test_share + validation_share > 0.95:
        raise ValueError(
            f"test_share and validation_share add up to {test_share + validation_share:.2f}, which leaves too few rows "
            "to train on; expected at most 0.95, such as 0.2 and 0.1."
        )
    table = pd.DataFrame({"label": np.asarray(labels), "group": groups})
    heads = table.groupby("group", sort=False)["label"].first()  # one label a group decides where it goes
    rest, test = _stratified(heads, test_share, random_state)
    _, validation = _stratified(heads[rest], validation_share / (1 - test_share), random_state)
    split = pd.Series("train", index=heads.index, dtype=object)
    split[test], split[validation] = "test", "validation"
    return table["group"].map(split).to_numpy(dtype=str)


def _stratified(heads: pd.Series, share: float, random_state: int) -> tuple[np.ndarray, np.ndarray]:
    """Names of the groups that stay and of those taken out; a label's only group stays, to be learnt from."""
    alone = heads.map(heads.value_counts()) == 1
    several = heads[~alone]
    n_labels = several.nunique()
    taken = max(math.ceil(share * len(several)), n_labels)
    if not n_labels or len(several) - taken < n_labels:
        raise ValueError(
            f"Too few rows to split: {len(heads)} left that differ, of {heads.nunique()} label(s), and {taken} would be "
            "taken out. Add rows, or choose smaller shares."
        )
    stay, out = train_test_split(
        several.index.to_numpy(), test_size=taken, stratify=several, random_state=random_state
    )
    return np.concatenate([stay, heads.index[alone]]), out
