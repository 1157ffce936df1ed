"""Fetching over a server on the loopback, whole and broken, and from folders; no test needs a network."""

import gzip
import hashlib
import io
import json
import lzma
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import PATIENCE

from fusebook import cli
from fusebook.data import fetch, known_sets, tables

MEMBER = known_sets.read_facts()["bbc"]["member"]
ARTICLES = {
    "sport/001.txt": b"A goal\r\n\r\nin the last minute",
    "sport/002.txt": b"A goal for \xa320",
    "tech/001.txt": "A phone,\r“new”".encode(),  # old Macs ended lines so, and so do some posts
}


@pytest.fixture
def server(monkeypatch):
    """A server on the loopback: ``pages`` by path (bytes, or a function that answers), ``asked`` the paths asked for."""
    pages, asked = {}, []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            page = pages.get(self.path)
            if callable(page):
                page(self)
            elif page is None:
                self.send_error(404)
            else:
                self.send_response(200)
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

        def log_message(self, *_):
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    made.pages, made.asked, made.at = pages, asked, f"http://127.0.0.1:{made.server_port}"
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def tar(files, *, mode="gz", links=()):
    """A tar archive of ``files`` and symbolic ``links`` (name to target)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{mode}") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return buffer.getvalue()


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def under(folder, files=ARTICLES):
    return {f"{folder}/{name}": content for name, content in files.items()}


def folder_sum(names):
    """The checksum of a folder, worked out apart from the library."""
    lines = "".join(f"{hashlib.sha256(ARTICLES[name]).hexdigest()}  {name}\n" for name in names)
    return hashlib.sha256(lines.encode()).hexdigest()


def facts_of(*addresses):
    return {
        "title": "Three articles",
        "columns": {"text": "text"},
        "source": "https://example.org/articles",
        "terms": "for tests",
        "citation": "Nobody (2026)",
        "member": MEMBER,
        "labels": ["sport", "tech"],
        "addresses": {address.rpartition("/")[2]: address for address in addresses},
        "parts": [
            {
                "files": {
                    "sport": folder_sum(["sport/001.txt", "sport/002.txt"]),
                    "tech": folder_sum(["tech/001.txt"]),
                },
                "rows": {"all": [2, 1]},
            }
        ],
    }


def fails(facts, folder, error, message, **how):
    """``fetch_dataset`` raises ``error``, says how to go on, and leaves nothing in ``folder``."""
    with pytest.raises(error, match=message) as raised:
        fetch.fetch_dataset("bbc", facts, folder, **how)
    assert not folder.exists() or list(folder.iterdir()) == []
    return str(raised.value)


# --- Downloading --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a.zip", zipped(under("bbc") | {"bbc/README.TXT": b"not a row"})),
        ("a.tar.gz", tar(under("bbc-1.0"))),
        ("a.tgz", tar(under("./x/y"))),
        ("a.tar.xz", tar(ARTICLES, mode="xz")),
        ("a.tar.bz2", tar(ARTICLES, mode="bz2")),
        ("a.tar", tar(ARTICLES, mode="")),
    ],
)
def test_a_good_file_becomes_a_table(server, tmp_path, capfd, file, content):
    server.pages[f"/{file}"] = content
    result = fetch.fetch_dataset("bbc", facts_of(f"{server.at}/{file}"), tmp_path / "raw")
    assert "100%" in capfd.readouterr().err  # the progress bar
    assert result["fetched"]
    assert result["notes"] == []
    assert result["table"] == tmp_path / "raw/bbc/bbc.csv"
    table, rejected = tables.read_table(result["table"])
    assert rejected.empty
    assert table.to_numpy().tolist() == [
        ["A goal\r\n\r\nin the last minute", "sport", "sport/001.txt"],
        ["A goal for £20", "sport", "sport/002.txt"],
        ["A phone,\r“new”", "tech", "tech/001.txt"],
    ]
    assert (tmp_path / "raw/bbc/original" / file).read_bytes() == content
    assert [path.name for path in (tmp_path / "raw").iterdir()] == ["bbc"]


def test_the_second_call_downloads_nothing(server, tmp_path):
    server.pages["/a.zip"] = zipped(ARTICLES)
    facts = facts_of(f"{server.at}/a.zip")
    first = fetch.fetch_dataset("bbc", facts, tmp_path)
    assert server.asked == ["/a.zip"]
    server.pages.clear()
    again = fetch.fetch_dataset("bbc", facts, tmp_path)
    assert server.asked == ["/a.zip"]
    assert not again["fetched"]
    pd.testing.assert_frame_equal(again["counts"], first["counts"])
    assert "there already, not fetched again, 3 rows" in fetch.describe(facts, again)


@pytest.mark.parametrize("label", ["sport", "tech"])
def test_other_contents_are_refused(server, tmp_path, label):
    name = f"{label}/001.txt"
    server.pages["/a.zip"] = zipped(ARTICLES | {name: b"B" + ARTICLES[name][1:]})
    facts = facts_of(f"{server.at}/a.zip")
    said = fails(facts, tmp_path, ValueError, f"all: 3 of 3 rows; sha256 of {label} is ")
    assert facts["parts"][0]["files"][label] in said
    assert "By hand: get a.zip from https://example.org/articles" in said
    assert "fusebook fetch bbc --from FOLDER" in said


def test_a_download_that_is_only_a_part_is_refused(server, tmp_path):
    server.pages["/a.zip"] = zipped({"tech/001.txt": ARTICLES["tech/001.txt"]})
    fails(facts_of(f"{server.at}/a.zip"), tmp_path, ValueError, "all: 1 of 3 rows")


def test_rows_too_many_are_refused(server, tmp_path):
    server.pages["/a.zip"] = zipped(ARTICLES | {"tech/002.txt": b"more"})
    fails(facts_of(f"{server.at}/a.zip"), tmp_path, ValueError, "all: 4 of 3 rows")


def test_an_address_that_is_gone(server, tmp_path):
    said = fails(facts_of(f"{server.at}/gone.zip"), tmp_path, OSError, r"/gone.zip answered 404 Not Found")
    assert "By hand: get gone.zip" in said


def test_the_second_of_two_addresses_is_gone(server, tmp_path):
    server.pages["/a.zip"] = zipped(ARTICLES)
    addresses = [f"{server.at}/a.zip", f"{server.at}/b.zip"]
    said = fails(facts_of(*addresses), tmp_path, OSError, r"/b.zip answered 404")
    assert "get a.zip and b.zip from" in said


def free_port():
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_nobody_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    address = f"http://127.0.0.1:{free_port()}/a.zip"
    said = fails(facts_of(address), tmp_path, ConnectionError, "is there a network")
    assert address in said


def test_a_web_page_instead_of_the_file(server, tmp_path):
    server.pages["/a.zip"] = b"\n<!DOCTYPE html><html>Please log in"
    said = fails(facts_of(f"{server.at}/a.zip"), tmp_path, OSError, "a web page, not with a.zip")
    assert "login or a licence" in said


@pytest.mark.parametrize("file", ["a.zip", "a.tar.gz", "a.tar.xz", "a.tar.bz2"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.95])
def test_an_archive_cut_short(server, tmp_path, file, share):
    big = {name: content + os.urandom(20_000) for name, content in ARTICLES.items()}
    content = zipped(big) if file == "a.zip" else tar(big, mode=file.rpartition(".")[2])
    server.pages[f"/{file}"] = content[: int(share * len(content))]
    fails(facts_of(f"{server.at}/{file}"), tmp_path, ValueError, f"{file} is broken or was cut short")


def test_a_connection_that_breaks_off(server, tmp_path):
    def break_off(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        handler.wfile.write(zipped(ARTICLES))

    server.pages["/a.zip"] = break_off
    fails(facts_of(f"{server.at}/a.zip"), tmp_path, ConnectionError, "No whole answer")


def test_ctrl_c_leaves_nothing_half(server, tmp_path):
    """The command in a process of its own, interrupted while the server has sent half of the file."""
    half = threading.Event()

    def drip(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        handler.wfile.write(bytes(50_000))
        half.set()
        stop.wait(2 * PATIENCE)

    stop = threading.Event()
    server.pages["/a.zip"] = drip
    code = "import json, sys; from fusebook.data import fetch; fetch.fetch_dataset('bbc', json.loads(sys.argv[1]), sys.argv[2])"
    raw = tmp_path / "raw"
    # A background shell hands SIGINT down ignored; the command is to hear it all the same.
    process = subprocess.Popen(
        [sys.executable, "-c", code, json.dumps(facts_of(f"{server.at}/a.zip")), str(raw)], stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        assert half.wait(PATIENCE)
        end = time.monotonic() + PATIENCE
        while not any(path.is_file() and path.stat().st_size for path in raw.rglob("*")):  # the first half, on disk
            assert time.monotonic() < end
            time.sleep(0.05)
        assert not (raw / "bbc").exists()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        stop.set()
        process.kill()
    assert b"KeyboardInterrupt" in errors
    assert list(raw.iterdir()) == []


# --- Archives that would write elsewhere ----------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["../tech/001.txt", "x/../../tech/001.txt", "/tmp/tech/001.txt", "..\\..\\tech/001.txt", "C:/tech/001.txt"]
)  # fmt: skip
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_path_that_leads_out_is_refused(server, tmp_path, path, kind):
    files = {name: content for name, content in ARTICLES.items() if not name.startswith("tech")}
    files[path] = ARTICLES["tech/001.txt"]
    server.pages[f"/a.{kind}"] = zipped(files) if kind == "zip" else tar(files)
    outside = set(tmp_path.iterdir())
    fails(facts_of(f"{server.at}/a.{kind}"), tmp_path / "raw", ValueError, "leads out of it")
    assert set(tmp_path.iterdir()) - outside <= {tmp_path / "raw"}


def test_a_path_that_leads_out_is_refused_also_where_it_is_no_row(server, tmp_path):
    server.pages["/a.tar.gz"] = tar(ARTICLES | {"../../.bashrc": b"x"})
    fails(facts_of(f"{server.at}/a.tar.gz"), tmp_path / "raw", ValueError, r"'../../.bashrc', a path that leads out")


@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret", "sport/001.txt"])
def test_a_link_is_not_followed(server, tmp_path, target):
    (tmp_path / "secret").write_text("secret")
    files = {name: content for name, content in ARTICLES.items() if not name.startswith("tech")}
    server.pages["/a.tar.gz"] = tar(files, links=[("tech/001.txt", target)])
    fails(facts_of(f"{server.at}/a.tar.gz"), tmp_path / "raw", ValueError, "tech/001.txt in a.tar.gz is a link")


def test_a_folder_that_is_a_link_writes_nothing_elsewhere(server, tmp_path):
    """A link first, a file through it then: the file is read by its name, and nothing is written by the archive."""
    (tmp_path / "elsewhere").mkdir()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        link = tarfile.TarInfo("bbc/tech")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "elsewhere")
        archive.addfile(link)
        for name, content in under("bbc").items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    server.pages["/a.tar.gz"] = buffer.getvalue()
    fetch.fetch_dataset("bbc", facts_of(f"{server.at}/a.tar.gz"), tmp_path / "raw")
    assert list((tmp_path / "elsewhere").iterdir()) == []


# --- From a folder --------------------------------------------------------------------------------------


def put(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    "files",
    [
        ARTICLES,
        under("any/where"),
        {f"{name}.gz": gzip.compress(content) for name, content in ARTICLES.items()},
        {"x.tar.xz": lzma.compress(tar(ARTICLES, mode=""))},
        {"x.zip": zipped(ARTICLES), **under("and/unpacked")},  # twice, but the same
    ],
    ids=["plain", "deeper", "gzipped", "archive", "archive and unpacked"],
)
def test_a_copy_in_any_form_is_the_same_table(tmp_path, files):
    copy = put(tmp_path / "copy", {**files, "notes.txt": b"mine", ".DS_Store": b"\0"})
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    result = fetch.fetch_dataset("bbc", facts_of("http://127.0.0.1:9/a.zip"), tmp_path / "raw", copy=copy)
    assert tables.read_table(result["table"])[0]["file"].tolist() == sorted(ARTICLES)
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in (tmp_path / "raw/bbc").iterdir()) == ["bbc.csv", "fetched.json"]


def test_a_part_on_disk_is_taken_with_a_note(tmp_path):
    copy = put(tmp_path / "copy", {"tech/001.txt": ARTICLES["tech/001.txt"]})
    facts = facts_of()
    result = fetch.fetch_dataset("bbc", facts, tmp_path / "raw", copy=copy)
    assert result["notes"] == ["all: 1 of 3 rows. Figures published for the whole set are not those of this table."]
    assert result["notes"][0] in fetch.describe(facts, result)
    assert fetch.fetch_dataset("bbc", facts, tmp_path / "raw", copy=copy)["notes"] == result["notes"]


def test_a_whole_copy_of_other_contents_is_refused(tmp_path):
    copy = put(tmp_path / "copy", ARTICLES | {"tech/001.txt": b"changed"})
    fails(facts_of("http://x/a.zip"), tmp_path / "raw", ValueError, "sha256 of tech is", copy=copy)


def test_two_files_of_one_path_that_differ(tmp_path):
    copy = put(tmp_path / "copy", {**ARTICLES, "b/tech/001.txt": b"changed"})
    fails(facts_of(), tmp_path / "raw", ValueError, "tech/001.txt stands twice", copy=copy)


@pytest.mark.parametrize("files", [{}, {"other.csv": b"a,b\n"}])
def test_a_folder_without_the_sets_files(tmp_path, files):
    (tmp_path / "copy").mkdir()
    copy = put(tmp_path / "copy", files)
    said = fails(facts_of("http://x/a.zip"), tmp_path / "raw", ValueError, "No file of bbc is in", copy=copy)
    assert "get a.zip from" in said


def test_no_folder(tmp_path):
    fails(facts_of(), tmp_path / "raw", ValueError, "No folder at", copy=tmp_path / "nowhere")


# --- What is there already ------------------------------------------------------------------------------


@pytest.mark.parametrize("files", [{"mine.txt": b"mine"}, {"bbc.csv": b"text,label\n"}, {}])
def test_a_folder_of_ones_own_is_left_alone(tmp_path, files):
    copy = put(tmp_path / "copy", ARTICLES)
    mine = tmp_path / "raw/bbc"
    mine.mkdir(parents=True)
    put(mine, files)
    with pytest.raises(FileExistsError, match="no whole set of `fusebook fetch`"):
        fetch.fetch_dataset("bbc", facts_of(), tmp_path / "raw", copy=copy)
    assert {path.name: path.read_bytes() for path in mine.iterdir()} == files
    assert list((tmp_path / "raw").iterdir()) == [mine]


def test_a_dangling_link_is_left_alone(tmp_path):
    copy = put(tmp_path / "copy", ARTICLES)
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/bbc").symlink_to(tmp_path / "gone")
    with pytest.raises(FileExistsError):
        fetch.fetch_dataset("bbc", facts_of(), tmp_path / "raw", copy=copy)
    assert (tmp_path / "raw/bbc").is_symlink()


def test_a_table_that_was_changed_is_left_alone(tmp_path):
    copy = put(tmp_path / "copy", ARTICLES)
    table = fetch.fetch_dataset("bbc", facts_of(), tmp_path / "raw", copy=copy)["table"]
    table.write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError, match="was changed since it was fetched"):
        fetch.fetch_dataset("bbc", facts_of(), tmp_path / "raw", copy=copy)
    assert table.read_text() == "mine"


def test_another_source_is_not_passed_off_as_the_one_asked_for(server, tmp_path):
    server.pages["/a.zip"] = zipped(ARTICLES)
    facts = facts_of(f"{server.at}/a.zip")
    copy = put(tmp_path / "copy", {"tech/001.txt": ARTICLES["tech/001.txt"]})
    fetch.fetch_dataset("bbc", facts, tmp_path / "raw", copy=copy)
    with pytest.raises(FileExistsError, match=r"is there already, from .*copy\. all: 1 of 3 rows.* Move "):
        fetch.fetch_dataset("bbc", facts, tmp_path / "raw")
    shutil.rmtree(tmp_path / "raw/bbc")
    assert len(fetch.fetch_dataset("bbc", facts, tmp_path / "raw")["counts"]) == 2


def test_a_whole_set_is_the_same_from_everywhere(server, tmp_path):
    copy = put(tmp_path / "copy", ARTICLES)
    facts = facts_of(f"{server.at}/a.zip")
    first = fetch.fetch_dataset("bbc", facts, tmp_path / "raw", copy=copy)
    again = fetch.fetch_dataset("bbc", facts, tmp_path / "raw")
    assert (first["fetched"], again["fetched"], server.asked) == (True, False, [])


def test_the_folder_keeps_source_terms_and_citation(tmp_path):
    facts = facts_of()
    table = fetch.fetch_dataset("bbc", facts, tmp_path / "raw", copy=put(tmp_path / "copy", ARTICLES))["table"]
    record = json.loads((table.parent / "fetched.json").read_text("utf-8"))
    assert {key: facts[key] for key in ("source", "terms", "citation")}.items() <= record.items()
    assert record["sha256"] == hashlib.sha256(table.read_bytes()).hexdigest()


def test_a_zip_with_a_password_is_told(tmp_path):
    content = bytearray(zipped(ARTICLES))
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # the flag "encrypted" of each file, here and in the list
        start = content.find(mark)
        while start >= 0:
            content[start + at] |= 1
            start = content.find(mark, start + 4)
    copy = put(tmp_path / "copy", {"a.zip": bytes(content)})
    fails(facts_of(), tmp_path / "raw", ValueError, "a.zip is broken or was cut short .*password", copy=copy)


def test_a_sound_that_is_missing_is_told(tmp_path):
    facts = known_sets.read_facts()["fsdd"]
    copy = put(tmp_path / "copy", {"recordings/3_theo_7.wav": b"RIFF", "recordings/0_lucas_4.wav": b"RIFF"})
    result = fetch.fetch_dataset("fsdd", facts, tmp_path / "raw", copy=copy)
    made = tables.read_table(result["table"])[0]
    assert made.to_numpy().tolist() == [
        ["recordings/0_lucas_4.wav", "0", "test", "lucas", "4"],
        ["recordings/3_theo_7.wav", "3", "train", "theo", "7"],
    ]
    (result["table"].parent / made["audio"].iloc[0]).unlink()
    with pytest.raises(FileExistsError, match="are missing"):
        fetch.fetch_dataset("fsdd", facts, tmp_path / "raw", copy=copy)


# --- The command ----------------------------------------------------------------------------------------


def test_command_prints_counts_terms_citation_and_the_next_command(tmp_path):
    """What it prints as the next command runs: its options are those of the command report, its table is there."""
    reviews = "label,review\n1,很好\n0,\n".encode()
    copy = put(tmp_path / "my copy", {"waimai_10k.csv": reviews})
    made = CliRunner().invoke(
        cli.main, ["fetch", "waimai_10k", "--from", str(copy), "--to", str(tmp_path / "raw data")]
    )
    assert made.exit_code == 0, made.output
    facts = known_sets.read_facts()["waimai_10k"]
    for said in (facts["terms"], facts["citation"], facts["source"], "all: 2 of 11,987 rows"):
        assert said in made.output
    counts = [line.split() for line in made.output.splitlines() if line.split()[-2:-1] == ["1"]]
    assert counts == [["all", "negative", "1", "7,987"], ["positive", "1", "4,000"]]
    command = made.output.splitlines()[-1].removeprefix("    fusebook ")
    parsed = dict(zip(*[iter(shlex.split(command)[1:])] * 2, strict=True))
    assert Path(parsed.pop("--table")).read_text("utf-8").split() == ["text,label", "很好,positive", ",negative"]
    assert parsed == {"--text": "text", "--label": "label"}


def test_command_lists_the_sets():
    made = CliRunner().invoke(cli.main, ["fetch"])
    assert made.exit_code == 0
    assert [line.split()[0] for line in made.output.splitlines()] == list(known_sets.read_facts())


def test_command_names_the_known_sets():
    made = CliRunner().invoke(cli.main, ["fetch", "cifar"])
    assert made.exit_code == 2
    assert "No set is named 'cifar'. Known are thucnews-titles, bbc" in made.output


@pytest.mark.parametrize("name", list(known_sets.read_facts()))
def test_command_without_a_network(name, tmp_path, monkeypatch):
    """Every address of a set is asked for through a proxy that is not there: the message says how to go on."""
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{free_port()}")
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    made = CliRunner().invoke(cli.main, ["fetch", name, "--to", str(tmp_path / "raw")])
    facts = known_sets.read_facts()[name]
    assert made.exit_code == 1
    assert next(iter(facts["addresses"].values())) in made.output
    assert "is there a network?" in made.output
    assert all(file in made.output for file in facts["addresses"])
    assert f"fusebook fetch {name} --from FOLDER" in made.output
    assert "Traceback" not in made.output
    assert list((tmp_path / "raw").iterdir()) == []
