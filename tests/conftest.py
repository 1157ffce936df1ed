"""What several tests share: a small table with pictures and sounds, and one whole run over it.

With pytest-xdist a worker takes a whole file at a time; what several files need is made once for all workers.
"""

import csv
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

# Each worker of pytest-xdist computes on one core: threads of several workers would wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")

import numpy as np
import pytest
import soundfile
from PIL import Image

PROJECT = Path(__file__).parents[1]
WORDS = {
    "sport": "match goal team coach player league score pitch referee striker",
    "money": "bank market share price profit bond loan trade budget tax",
    "技术": "芯片 软件 网络 数据 机器人 卫星 电池 算法 实验 屏幕",
}
SMALL = {"epochs": 3, "image_epochs": 2, "image_size": 32, "vector_dimensions": 20, "most_cards": 3, "samples": 600}
PATIENCE = 300  # seconds that a test waits for what takes few: the machine may have much else to do
# Files that take longest, first: what is left for the end is short, so that no core waits for another for long. The first
# makes the finished run; those that follow do without it, so that nobody waits for it.
FIRST = ("test_accessibility.py", "test_error_analysis.py", "test_fetch.py", "test_compare.py", "test_known_sets.py",
         "test_runner.py", "test_lab.py", "test_notebooks.py", "test_index.py", "test_pages.py", "test_twin.py")  # fmt: skip


def pytest_collection_modifyitems(items):
    """The files of ``FIRST`` first: pytest-xdist hands out whole files in this order."""
    items.sort(key=lambda item: FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST))


def write_table(folder: Path, *, n_rows: int = 120, seed: int = 0) -> Path:
    """A CSV of three classes whose text, picture colour and tone all tell the class, most of the time."""
    rng = np.random.default_rng(seed)
    (folder / "media").mkdir(parents=True)
    labels = list(WORDS)
    with (folder / "small.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["title", "picture", "sound", "topic"])
        for i in range(n_rows):
            k = i % len(labels)
            text = " ".join(rng.choice(WORDS[labels[k]].split(), 6)) + f" {i} {rng.integers(1000)}"
            picture, sound = f"media/{i}.png", f"media/{i}.wav"
            colour = np.clip(np.eye(3)[k] * 150 + rng.normal(60, 40, (24, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(colour).save(folder / picture)
            tone = np.sin(2 * np.pi * 300 * (k + 1) * np.arange(4000) / 8000) * 0.3 + rng.normal(0, 0.05, 4000)
            soundfile.write(folder / sound, tone, 8000)
            writer.writerow([text, picture if i % 7 else "", sound if i % 5 else "", labels[k]])
    return folder / "small.csv"


def _once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that all workers share: the first that needs it makes it, the others wait until it is whole."""
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, outcome = base / name, base / f"{name}-outcome"
    try:
        folder.mkdir()
    except FileExistsError:
        end = time.monotonic() + 2 * PATIENCE
        while not outcome.exists() and time.monotonic() < end:
            time.sleep(0.2)
    else:
        try:
            make(folder)
            (folder / "whole").touch()
        finally:
            outcome.touch()
    assert (folder / "whole").exists(), f"{folder} could not be made; the error stands at the first test that needed it"
    return folder


@pytest.fixture(scope="session")
def small_table(tmp_path_factory) -> Path:
    return write_table(tmp_path_factory.mktemp("table") / "small")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory) -> Path:
    """The run folder of all notebooks over the small table, with hostile text in one row. No test may change it."""
    return _once(tmp_path_factory, "finished", _run_all_notebooks) / "runs" / "finished"


def _run_all_notebooks(folder: Path) -> None:
    from fusebook.report import index, pages, runner

    table = write_table(folder / "hostile")
    hostile = '"</script><img src=x onerror=alert(1)> ' + "".join(f"match goal {i} " for i in range(9)) + '",,,sport\n'
    table.write_text(table.read_text(encoding="utf-8") + hostile, encoding="utf-8")
    columns = {"text": "title", "label": "topic", "image": "picture", "audio": "sound"}
    values = {"table": str(table), "new_table": "", **columns, **SMALL}
    steps = runner.run_notebooks(folder / "runs" / "finished", values, export=pages.export_page, side_by_side=2)
    index.write_index(folder / "runs" / "finished", steps)


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="session")
def browser():
    if not CHROMIUM:
        pytest.skip("no Chromium on this machine: install Debian's package chromium to run the browser test")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def rows_and_bundle(tmp_path_factory):
    """The rows of ``tiny_bundle``, and their bundle of text and sound."""
    import tiny_bundle

    from fusebook.models.bundle import Bundle

    rows, labels = tiny_bundle.make_rows(tmp_path_factory.mktemp("sounds"))
    made = tiny_bundle.make_models(rows, labels)
    return rows, Bundle(tiny_bundle.save(tmp_path_factory.mktemp("run"), *made))


@pytest.fixture
def rows(rows_and_bundle):
    """Rows of one's own, to be changed."""
    return rows_and_bundle[0].copy()


@pytest.fixture
def bundle(rows_and_bundle):
    return rows_and_bundle[1]


@pytest.fixture
def batches(monkeypatch):
    """The row numbers of every step that training takes, as they are drawn."""
    from fusebook.models import training

    taken, draw = [], training._batches

    def spy(*given):
        numbers, counts = draw(*given)
        taken.extend(rows[there == 1] for rows, there in zip(numbers, counts, strict=True))
        return numbers, counts

    monkeypatch.setattr(training, "_batches", spy)
    return taken
