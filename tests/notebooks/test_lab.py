"""Notebook 05 in a real JupyterLab, turned by hand in a headless Chromium: table and card say what the library says."""

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import nbformat
import pandas as pd
import pytest
import tiny_bundle
from bs4 import BeautifulSoup
from conftest import PATIENCE, PROJECT

from fusebook.runs import Run

SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},  # all cells are in the page, seen or not
}


@pytest.fixture(scope="module")
def run(finished_run, tmp_path_factory) -> Path:
    """A copy of the finished run, whose list of suspects has a training row."""
    copied = Run(shutil.copytree(finished_run, tmp_path_factory.mktemp("lab") / "run"))
    splits = copied.read("splits.parquet")
    line = splits.loc[splits["split"] == "train", ["row", "split", "label"]].head(1)
    line = line.assign(suggested="技术", label_probability=0.001, action="keep", text="")
    copied.write("label_suspects.csv", line)
    return copied.folder


@pytest.fixture(scope="module")
def lab(browser, run, tmp_path_factory):
    """Address of a JupyterLab that has notebook 05 over ``run`` and nothing of the person's own."""
    folder = tmp_path_factory.mktemp("jupyter")
    (folder / "work").mkdir()
    notebook = nbformat.read(PROJECT / "notebooks" / "05_inspect.ipynb", as_version=4)
    notebook.cells[1].source = re.sub(r"run: str = .*", f"run: str = {str(run)!r}", notebook.cells[1].source)
    nbformat.write(notebook, folder / "work" / "05_inspect.ipynb")
    for name, values in SETTINGS.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token, log = secrets.token_hex(16), (folder / "log").open("w")
    folders = {
        "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython",
    }  # fmt: skip
    options = [
        "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder / 'work'}",
        # The server itself asks no other machine for news, updates or extensions.
        "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
        "--LabApp.news_url=", "--LabApp.extension_manager=readonly",
    ]  # fmt: skip
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", *options], stdout=log, stderr=log, cwd=folder / "work",
        env=os.environ | {"KERAS_BACKEND": "jax"} | {name: str(folder / place) for name, place in folders.items()},
    )  # fmt: skip
    try:
        _await_server(server, f"http://127.0.0.1:{port}/api?token={token}", folder / "log")
        yield f"http://127.0.0.1:{port}/lab/tree/05_inspect.ipynb?token={token}"
    finally:
        server.terminate()  # it shuts its kernels down
        try:
            server.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            server.kill()
        log.close()


def _await_server(server: subprocess.Popen, address: str, log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and server.poll() is None:
        try:
            return urlopen(address).close()
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start: {log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def page(lab, browser):
    """The notebook with all cells run; whatever leaves the machine is refused and noted, as are errors."""
    context = browser.new_context(viewport={"width": 1280, "height": 1600})
    opened = context.new_page()
    opened.set_default_timeout(1000 * PATIENCE)
    opened.errors, opened.outside = [], []

    def only_here(route):
        if urlsplit(route.request.url).hostname not in (None, "127.0.0.1"):
            opened.outside.append(route.request.url)
            return route.abort()
        return route.continue_()

    context.route("**/*", only_here)
    opened.on("websocket", lambda socket: "//127.0.0.1:" in socket.url or opened.outside.append(socket.url))
    opened.on("console", lambda said: said.type == "error" and opened.errors.append(said.text))
    opened.on("pageerror", lambda error: opened.errors.append(str(error)))
    opened.on("dialog", lambda dialog: opened.errors.append(dialog.message) or dialog.dismiss())
    opened.goto(lab)
    opened.get_by_text("Python 3 (ipykernel) | Idle").wait_for()  # earlier JupyterLab would ask for a kernel
    opened.get_by_role("menuitem", name="Run", exact=True).click()
    opened.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    done = opened.locator(".jp-Notebook .jp-CodeCell").last.locator(".jp-OutputArea-output")
    wrong = opened.locator(".jp-OutputArea-output").filter(has_text="Traceback (most recent call last)")
    done.or_(wrong).first.wait_for()
    assert wrong.all_text_contents() == []
    opened.get_by_label("sorted by").wait_for()
    yield opened
    context.close()


@pytest.fixture(scope="module")
def library(run):
    """What the library has of the run: its bundle, its rows, and the table of rows to inspect."""
    from fusebook import inspection

    read = Run(run)
    bundle, rows, slices = read.bundle(), read.read("rows.parquet"), read.read("slices.parquet")
    predictions, suspects = [read.predictions("validation"), read.predictions("test")], read.need("label_suspects.csv")
    listed = inspection.Listing(rows, predictions, bundle.chosen, suspects=suspects, slices=slices)
    return bundle, rows, listed.table


def votes_of(question) -> pd.DataFrame:
    """The answers that the inspector shows: every model's, and the parts' joined by the rule that is set at first."""
    from fusebook.inspection.row_widgets import FUSION

    return question.votes().assign(**{FUSION: question.joined("mean")})


def lines(table: pd.DataFrame) -> list[str]:
    """The first page of ``table`` as a person reads it: number and cells of each line."""
    from fusebook.inspection import cards, listing

    page = listing.page_of(table, 1).to_dict("records")
    made = [(f"row {line['row']}", BeautifulSoup(cards.row_line(line), "html.parser")) for line in page]
    return [
        " ".join([number, *(" ".join(cell.text.split()) for cell in cells.find_all("span"))]) for number, cells in made
    ]


def shown(page) -> list[str]:
    """The lines that the page shows, as ``lines`` gives them."""
    return page.evaluate(
        """() => [...document.querySelectorAll(".jupyter-widgets .fb-line:not(.fb-head)")].map(line => [
            line.closest(".widget-hbox").querySelector("button").textContent,
            ...[...line.querySelectorAll("span")].map(cell => cell.textContent),
        ].map(text => text.trim().split(/\\s+/).join(" ")).join(" "))"""
    )


def answers(html: str) -> list[str]:
    """Label and shares of each line of each model's answer."""
    tables = BeautifulSoup(html, "html.parser").find_all("table")
    return [" ".join(line.get_text(" ").split()) for table in tables for line in (table.caption, *table.find_all("tr"))]


def voted(page) -> list[str]:
    return answers(page.locator(".jupyter-widgets .fb-votes").evaluate("votes => votes.outerHTML"))


def becomes(page, read, expected, seconds: float = PATIENCE) -> None:
    """Wait until ``read(page)`` is what the library says."""
    end = time.monotonic() + seconds
    while (now := read(page)) != expected:
        assert time.monotonic() < end, f"the page shows {now}, the library says {expected}"
        page.wait_for_timeout(50)


def test_a_filter_changes_table_and_card_as_the_library_says(page, library):
    from fusebook.inspection import cards, listing

    bundle, rows, table = library
    tests = listing.sort_rows(listing.filter_rows(table, split="test"), "loss")
    becomes(page, shown, lines(tests))
    name = tests["label"].iloc[-1]
    page.get_by_label("true class", exact=True).select_option(label=name)
    found = listing.sort_rows(listing.filter_rows(table, split="test", label=name), "loss")
    assert 0 < len(found) < len(tests)
    becomes(page, shown, lines(found))
    question = tiny_bundle.ask(bundle, rows, int(found["row"].iloc[0]))
    card = BeautifulSoup(question.card().data, "html.parser")
    heading = page.locator(".jupyter-widgets .fb-card .fb-head")
    becomes(page, lambda _: heading.text_content(), card.find(class_="fb-head").text)
    becomes(page, voted, answers(cards.votes_html(*[votes_of(question)] * 2)))


def test_an_edited_text_is_predicted_again(page, library):
    from fusebook.inspection import cards

    bundle, rows, _ = library
    number = int(re.match(r"row (\d+)", page.locator(".jupyter-widgets .fb-card .fb-head").text_content())[1])
    text = "芯片 </script><img src=x onerror=alert(1)> bank market 🎈"
    page.get_by_label("text", exact=True).fill(text)
    page.keyboard.press("Tab")
    question = tiny_bundle.ask(bundle, rows, number)
    expected = answers(cards.votes_html(votes_of(question), votes_of(question.edited(text))))
    assert expected != voted(page) or "as edited" in expected[1]
    becomes(page, voted, expected)
    becomes(page, lambda _: page.locator(".jupyter-widgets .fb-card .fb-text").text_content(), text)
    assert "text edited" in page.locator(".jupyter-widgets .fb-card .fb-head").text_content()
    assert page.locator(".jupyter-widgets .fb-card img[src=x]").count() == 0


def test_by_keyboard_a_decision_reaches_the_list(page, library, run):
    from fusebook.inspection import listing

    _, _, table = library
    path = run / "artifacts" / "label_suspects.csv"
    page.get_by_label("true class", exact=True).select_option(label="any")
    page.get_by_label("split", exact=True).select_option(label="any")
    page.get_by_label("sorted by", exact=True).select_option(label="suspicion, highest first")
    number = int(listing.sort_rows(table, "suspicion")["row"].iloc[0])
    page.get_by_text(f"Row {number} is listed as suspect").wait_for()
    page.get_by_role("button", name="drop", exact=True).focus()
    page.keyboard.press("Enter")
    becomes(page, lambda _: listing.read_suspects(path).set_index("row")["action"][str(number)], "drop")
    becomes(page, lambda _: page.get_by_text("label_suspects.csv: drop").count(), 1)


def test_nothing_went_wrong_and_nothing_left_the_machine(page):
    page.wait_for_timeout(100)  # what has been said is heard
    assert page.outside == []
    assert page.errors == []
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
