"""The model case of notebook 00: a 100-50 MLP on 10,000 x 100, 5 classes, batch 32, 10 epochs: NumPy by hand against Keras.

Run by `make bench-by_hand`: in each pair both train from the same weights in a fresh process, in turn first and second,
and the ratio is taken pair by pair. Keras trains twice: the first fit compiles (helped by the disk cache, as in daily
work; one row says what it takes without), the second is compiled already. Imports and data don't count. Both compute
in float32, on as many threads as they like. Where others use the machine, seconds are unfair to the one with fewer
threads; CPU seconds, of all threads together, are less so.
"""

import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from tempfile import TemporaryDirectory

import numpy as np
import rows

from fusebook.by_hand.cases import ModelCase
from fusebook.by_hand.network import Network
from fusebook.by_hand.proofs import keras_twin
from fusebook.evaluation.intervals import wilson_interval

COMMAND = "make bench-by_hand"
PAIRS = 9
SET = "made, 10,000 x 100"
N_TRAIN, N_HELD_OUT = 10_000, 5_000  # the rows of notebook 00


def pair(hand_first: bool) -> dict[str, float]:
    """Seconds of ten epochs and accuracy on the rows held out, of both from the same weights."""
    case = ModelCase(N_TRAIN)
    network = Network((100, 100, 50, 5), ("sigmoid", "relu", "softmax"), dtype=np.float32)
    twin = keras_twin(network)
    if hand_first:
        return of_network(network, case) | of_keras(twin, case)
    return of_keras(twin, case) | of_network(network, case)


def of_network(network: Network, case: ModelCase) -> dict[str, float]:
    taken = timed("by hand", lambda: network.fit(*case.train, epochs=10, batch_size=32))
    return taken | {"by hand, accuracy": accuracy(network.forward(case.held_out.rows)[-1], case.held_out.labels)}


def of_keras(twin, case: ModelCase) -> dict[str, float]:
    def fit():
        twin.fit(*case.train, epochs=10, batch_size=32, verbose=0)

    taken = timed("Keras, compiling", fit)
    taken["Keras, accuracy"] = accuracy(twin.predict(case.held_out.rows, verbose=0), case.held_out.labels)
    return taken | timed("Keras, compiled", fit)


def timed(name: str, do) -> dict[str, float]:
    """What ``do()`` takes, by ``name`` and measure."""
    start = time.perf_counter(), time.process_time()
    do()
    ends = time.perf_counter(), time.process_time()
    return {
        f"{name}, {kind}": end - begin for kind, begin, end in zip(("fit, s", "fit, CPU s"), start, ends, strict=True)
    }


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float((probabilities.argmax(axis=1) == labels).mean())


def in_fresh_processes(orders: list[bool]) -> list[dict[str, float]]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        return list(pool.map(pair, orders))


def spread(model: str, measure: str, values: list[float]) -> dict:
    return rows.row(SET, model, measure, statistics.median(values), min(values), max(values))


def main() -> None:
    pairs = in_fresh_processes([i % 2 == 0 for i in range(PAIRS)])
    with TemporaryDirectory() as empty:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = empty
        (first,) = in_fresh_processes([True])
    fits, made = ("by hand", "Keras, compiled", "Keras, compiling"), []
    for measure in ("fit, s", "fit, CPU s"):
        taken = {name: [found[f"{name}, {measure}"] for found in pairs] for name in fits}
        made += [spread(name, measure, values) for name, values in taken.items()]
        for name in fits[1:]:
            ratios = [ours / theirs for ours, theirs in zip(taken["by hand"], taken[name], strict=True)]
            made.append(spread(f"by hand / {name}", f"ratio of {measure}", ratios))
    made.append(rows.row(SET, "Keras, nothing compiled before", "fit, s", first["Keras, compiling, fit, s"]))
    for name in ("by hand", "Keras"):
        share = statistics.median(found[f"{name}, accuracy"] for found in pairs)
        ends = map(float, wilson_interval(share, N_HELD_OUT))
        made.append(rows.row(SET, name, "accuracy, 5,000 held-out rows", share, *ends))
    rows.write("by_hand", COMMAND, made)


if __name__ == "__main__":
    main()
