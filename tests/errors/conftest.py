"""What tests of suspects and of corrections share."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def three_classes():
    """A function that draws numbers of three classes, and labels of which some are wrong."""

    def draw(n_rows=300, n_flips=15, seed=0):
        """Numbers that tell the class, labels of which some were flipped, and which: values, labels, flipped."""
        rng = np.random.default_rng(seed)
        true = np.arange(n_rows) % 3
        values = rng.normal(size=(n_rows, 12)) + 4 * np.eye(3, 12)[true]
        flipped = rng.choice(n_rows, n_flips, replace=False)
        labels = true.copy()
        labels[flipped] = (true[flipped] + rng.integers(1, 3, n_flips)) % 3
        return values, labels, set(flipped.tolist())

    return draw
