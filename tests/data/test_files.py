"""Files read once and on all cores; and every kind of bad file through the checks of a table."""

import contextlib
import io
import os
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

from fusebook.data import files, splits, tables
from fusebook.data.checks import check_rows
from fusebook.encoders import audio, image

# --- On all cores, once a file ------------------------------------------------------------------------


def test_results_come_in_the_order_of_the_paths():
    paths = [str(number) for number in range(200)]
    assert files.on_all_cores(lambda path: int(path) ** 2, paths, doing="squaring") == [i * i for i in range(200)]
    assert files.on_all_cores(len, [], doing="nothing") == []


def test_a_fault_in_one_file_is_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        files.on_all_cores(lambda path: 1 / int(path), ["1", "0", "2"], doing="dividing")


@pytest.mark.parametrize(("seconds", "shown"), [(0, True), (60, False)])
def test_long_work_shows_a_bar_and_short_work_does_not(monkeypatch, seconds, shown):
    monkeypatch.setattr(files, "SECONDS_WITHOUT_BAR", seconds)
    with contextlib.redirect_stderr(io.StringIO()) as said:
        files.on_all_cores(str.upper, list("abc"), doing="shouting")
    assert ("shouting" in said.getvalue()) == shown


def aged(path, *, seconds=100.0):
    facts = path.stat()
    os.utime(path, (facts.st_atime - seconds, facts.st_mtime - seconds))


def test_a_file_is_read_once_and_again_when_it_has_changed(tmp_path):
    path, reads = tmp_path / "a", []

    @files.once_a_file
    def content(path, times):
        reads.append(path)
        return Path(path).read_text() * times

    path.write_text("one")
    aged(path)
    assert [content(path, 2), content(str(path), 2), content(path, 1)] == ["oneone", "oneone", "one"]
    assert len(reads) == 2
    path.write_text("two")
    aged(path, seconds=50)
    assert content(path, 2) == "twotwo"


def test_a_file_that_is_just_being_written_is_not_remembered(tmp_path):
    @files.once_a_file
    def content(path):
        return Path(path).read_text()

    for letter in "abc":  # within one tick of a coarse clock, size and time are the same
        (tmp_path / "a").write_text(letter)
        os.utime(tmp_path / "a")
        assert content(tmp_path / "a") == letter
    with pytest.raises(FileNotFoundError):
        content(tmp_path / "nothing")


def test_what_reads_a_file_can_be_sent_to_another_process():
    assert pickle.loads(pickle.dumps(audio.summarise)) is audio.summarise


def test_each_picture_is_decoded_once_for_check_and_facts_and_once_for_training(tmp_path, monkeypatch):
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path in paths:
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(path)
        aged(path)
    opened = []
    real = Image.open
    monkeypatch.setattr(Image, "open", lambda path: opened.append(str(path)) or real(path))
    paths = [str(path) for path in paths]
    first = [(files.check_image(path), files.image_facts(path)) for path in paths]
    checks = len(opened)
    assert [(files.check_image(path), files.image_facts(path)) for path in paths] == first
    files.image_table(paths)
    assert len(opened) == checks
    made = files.read_images(paths, 16)
    np.testing.assert_array_equal(files.read_images([*paths, ""], 16)[:3], made)
    assert len(opened) == checks + 3


# --- Bad files ----------------------------------------------------------------------------------------


def png_head(width, height):
    """A PNG whose head promises ``width`` by ``height`` pixels and whose pixels are garbage."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"garbage") + chunk(b"IEND", b"")


def picture(kind, mode="RGB", size=(40, 30), **options):
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


def deep_png():
    stream = io.BytesIO()
    Image.fromarray(np.arange(900, dtype=np.uint16).reshape(30, 30) * 70).save(stream, "PNG")
    return stream.getvalue()


def gif():
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    return stream.getvalue()


def sound(samples, rate=16_000, kind="WAV", subtype=None):
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=kind, subtype=subtype)
    return stream.getvalue()


TONE = 0.3 * np.sin(np.arange(4000) / 5)
BAD_OR_ODD = {  # file name: its bytes, and the reason why it is refused, "" where it is read
    "half.jpg": (picture("JPEG")[:700], "IMAGE_BROKEN"),
    "one.png": (picture("PNG", size=(1, 1)), ""),
    "bomb.png": (png_head(20_000, 20_000), "IMAGE_TOO_LARGE"),
    "large.png": (png_head(8_000, 8_000), "IMAGE_TOO_LARGE"),
    "flat.png": (png_head(1_000_000, 100), "IMAGE_TOO_LARGE"),
    "none.png": (png_head(0, 0), "IMAGE_BROKEN"),
    "moving.gif": (gif(), ""),
    "print.jpg": (picture("JPEG", "CMYK"), ""),
    "deep.png": (deep_png(), ""),
    "text.png": ("这不是图片".encode(), "IMAGE_BROKEN"),
    "empty.png": (b"", "IMAGE_BROKEN"),
    "grey.webp": (picture("WEBP", "L"), ""),
    "zero.wav": (b"", "AUDIO_BROKEN"),
    "no_samples.wav": (sound(np.empty(0)), "AUDIO_EMPTY"),
    "stereo.wav": (sound(np.column_stack([TONE, -TONE])), ""),
    "8bit.wav": (sound(TONE, subtype="PCM_U8"), ""),
    "24bit.wav": (sound(TONE, subtype="PCM_24"), ""),
    "4khz.wav": (sound(TONE, 4_000), ""),
    "192khz.wav": (sound(TONE, 192_000), ""),
    "nan.wav": (sound(np.append(TONE, np.nan), subtype="FLOAT"), "AUDIO_NOT_FINITE"),
    "text.wav": (b"no sound", "AUDIO_BROKEN"),
    "half.flac": (sound(TONE, kind="FLAC")[:60], "AUDIO_BROKEN"),
    "good.flac": (sound(TONE, kind="FLAC"), ""),
    "good.ogg": (sound(TONE, kind="OGG"), ""),
    "good.mp3": (sound(TONE, kind="MP3"), ""),
}


def part_of(name):
    return "audio" if name.endswith((".wav", ".flac", ".ogg", ".mp3")) else "image"


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """Rows and reject list of a table whose rows have a text and one odd file each, and a link that leads out."""
    outside, folder = tmp_path_factory.mktemp("outside"), tmp_path_factory.mktemp("table")
    (outside / "secret.png").write_bytes(picture("PNG"))
    (outside / "secret.wav").write_bytes(sound(TONE))
    for name, (content, _) in BAD_OR_ODD.items():
        (folder / name).write_bytes(content)
    for name in ("secret.png", "secret.wav"):
        (folder / f"link_{name}").symlink_to(outside / name)
    names = [*BAD_OR_ODD, "link_secret.png", "link_secret.wav", "nowhere.png", "nowhere.wav"]
    table = pd.DataFrame({"text": [f"row of {name}" for name in names]}, index=range(1, len(names) + 1))
    for part in ("image", "audio"):
        table[part] = [name if part_of(name) == part else "" for name in names]
    columns = {part: part for part in ("text", "image", "audio")}
    rows, rejected = check_rows(table, columns=columns, folder=folder)
    return names, rows, rejected.set_index("detail")


EXPECTED = {name: reason for name, (_, reason) in BAD_OR_ODD.items()} | {
    "link_secret.png": "OUTSIDE_FOLDER", "link_secret.wav": "OUTSIDE_FOLDER",
    "nowhere.png": "FILE_MISSING", "nowhere.wav": "FILE_MISSING",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_every_bad_file_has_its_reason_code_and_no_other_has_one(checked):
    _, _, rejected = checked
    assert rejected["reason"].to_dict() == {name: reason for name, reason in EXPECTED.items() if reason}
    assert [rejected.loc[name, "part"] for name in rejected.index] == [part_of(name) for name in rejected.index]
    assert set(rejected["reason"]) <= set(tables.REASONS)


def test_every_row_goes_on_with_its_other_parts(checked):
    names, rows, _ = checked
    assert rows["text"].tolist() == [f"row of {name}" for name in names]
    has_file = (rows["image"] != "") | (rows["audio"] != "")
    assert dict(zip(names, has_file, strict=True)) == {name: not EXPECTED[name] for name in names}


@pytest.mark.parametrize("features", ["hog", "cnn"])
def test_whatever_passed_has_image_features(checked, features):
    paths = [path for path in checked[1]["image"] if path]
    labels = np.arange(len(paths)) % 2
    encoder = image.ImageEncoder(16, epochs=1, features=features).fit(paths, labels, validation=(paths, labels))
    assert np.isfinite(encoder.transform(paths)).all()
    assert np.isfinite(files.image_table(paths)).all(axis=None)
    assert len(splits.duplicate_images(paths)) == len(paths)


@pytest.mark.parametrize("features", ["mfcc", "cnn"])
def test_whatever_passed_has_audio_features(checked, features):
    paths = [path for path in checked[1]["audio"] if path]
    labels = np.arange(len(paths)) % 2
    encoder = audio.AudioEncoder(features, epochs=1).fit(paths, labels, validation=(paths, labels))
    assert np.isfinite(encoder.transform(paths)).all()
    assert np.isfinite(files.audio_table(paths)).all(axis=None)


def test_facts_of_a_refused_file_are_told_with_the_reason(tmp_path):
    (tmp_path / "a.png").write_bytes(png_head(20_000, 20_000))
    with pytest.raises(ValueError, match=r"a\.png is refused as IMAGE_TOO_LARGE; expected a picture"):
        files.image_facts(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"nothing\.wav is refused as AUDIO_BROKEN; expected a sound"):
        files.audio_facts(tmp_path / "nothing.wav")


def test_tables_of_facts_have_a_line_a_path(tmp_path):
    (tmp_path / "a.png").write_bytes(picture("PNG", size=(40, 30)))
    (tmp_path / "a.wav").write_bytes(sound(TONE, 8_000))
    pictures = files.image_table(["", str(tmp_path / "a.png")])
    assert pictures.iloc[1].to_dict() == files.image_facts(tmp_path / "a.png")
    sounds = files.audio_table([str(tmp_path / "a.wav"), ""])
    assert sounds.iloc[0].to_dict() == files.audio_facts(tmp_path / "a.wav")
    assert pictures.iloc[0].isna().all() and sounds.iloc[1].isna().all()
    assert files.image_table([]).shape == (0, 4) and files.audio_table([]).shape == (0, 5)
