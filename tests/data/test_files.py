"""Files read once and on all cores; pictures and sounds of every kind; every bad file through the checks of a table."""

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
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy.ndimage import laplace

from fusebook.data import files, splits, tables
from fusebook.data.checks import check_rows
from fusebook.data.formats import pictures, sounds
from fusebook.encoders import audio

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
    assert pickle.loads(pickle.dumps(files._examine_image)) is files._examine_image


def test_each_picture_is_decoded_once_for_check_and_facts_and_once_for_training(tmp_path, monkeypatch):
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path in paths:
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(path)
        aged(path)
    opened = []
    real = Image.open
    monkeypatch.setattr(Image, "open", lambda path: opened.append(str(path)) or real(path))
    paths = [str(path) for path in paths]
    first = [(files.check("image", path), files.facts("image", path)) for path in paths]
    checks = len(opened)
    assert [(files.check("image", path), files.facts("image", path)) for path in paths] == first
    files.facts_table("image", paths)
    assert len(opened) == checks
    made = files.read_images(paths, 16)
    np.testing.assert_array_equal(files.read_images([*paths, ""], 16)[:3], made)
    assert len(opened) == checks + 3


def pixels_of(height=30, width=40, channels=3, *, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


# --- Pictures: reading --------------------------------------------------------------------------------


def test_rgb_comes_back_as_it_is(tmp_path):
    pixels = pixels_of(24, 24)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert files.check("image", tmp_path / "a.png") == ""
    read = files.read_image(tmp_path / "a.png", 24)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, pixels)


def test_cmyk(tmp_path):
    Image.new("CMYK", (20, 20), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    assert files.check("image", tmp_path / "a.jpg") == ""
    read = files.read_image(tmp_path / "a.jpg", 8)
    assert read.shape == (8, 8, 3)
    np.testing.assert_allclose(read.reshape(-1, 3), [[255, 0, 0]] * 64, atol=4)  # no cyan is full red


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_has_three_equal_channels(tmp_path, mode):
    grey = (pixels_of(16, 16, 1)[..., 0] > 127).astype(np.uint8) * 255
    Image.fromarray(grey).convert(mode).save(tmp_path / "a.png")
    assert files.check("image", tmp_path / "a.png") == ""
    np.testing.assert_array_equal(files.read_image(tmp_path / "a.png", 16), np.dstack([grey] * 3))


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    deep = np.linspace(0, 65535, 256).reshape(16, 16).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    assert files.check("image", tmp_path / "a.png") == ""
    read = files.read_image(tmp_path / "a.png", 16)
    np.testing.assert_array_equal(read, np.dstack([deep // 256] * 3))


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_tiff_of_32_bits_can_be_read(tmp_path, dtype):
    Image.fromarray(np.full((8, 8), 100, dtype)).save(tmp_path / "a.tiff")
    assert files.check("image", tmp_path / "a.tiff") == ""
    assert (files.read_image(tmp_path / "a.tiff", 8) == 100).all()


def test_alpha_is_laid_on_white(tmp_path):
    layers = pixels_of(16, 16, 4)
    Image.fromarray(layers).save(tmp_path / "a.png")
    share = layers[..., 3:] / 255
    by_hand = layers[..., :3] * share + 255 * (1 - share)
    np.testing.assert_allclose(files.read_image(tmp_path / "a.png", 16), by_hand, atol=1)


def test_grey_with_alpha_is_laid_on_white(tmp_path):
    layers = pixels_of(16, 16, 2)
    Image.fromarray(layers, "LA").save(tmp_path / "a.png")
    share = layers[..., 1] / 255
    by_hand = layers[..., 0] * share + 255 * (1 - share)
    np.testing.assert_allclose(files.read_image(tmp_path / "a.png", 16), np.dstack([by_hand] * 3), atol=1)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("shape", [(1600, 1200), (300, 2000)])
def test_a_large_jpeg_decoded_at_a_fraction_looks_the_same(tmp_path, mode, shape):
    Image.fromarray(pixels_of(9, 12)).resize(shape).convert(mode).save(tmp_path / "a.jpg", quality=95)
    with Image.open(tmp_path / "a.jpg") as whole:
        expected = ImageOps.fit(whole.convert("RGB"), (16, 16), Image.Resampling.BILINEAR)
    read = files.read_image(tmp_path / "a.jpg", 16).astype(int)
    np.testing.assert_allclose(read, np.asarray(expected), atol=4)


def test_palette_with_a_clear_colour(tmp_path):
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([0, 0, 0, 200, 10, 20])
    picture.paste(1, (4, 0, 8, 8))
    picture.save(tmp_path / "a.png", transparency=0)
    with Image.open(tmp_path / "a.png") as saved:
        assert saved.mode == "P"
        assert saved.info["transparency"] in (0, b"\x00")
    assert files.check("image", tmp_path / "a.png") == ""
    read = files.read_image(tmp_path / "a.png", 8)
    assert (read[:, :4] == 255).all()
    assert (read[:, 4:] == [200, 10, 20]).all()


TURNS = {  # EXIF orientation: how the stored pixels are brought upright
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: np.rot90(a, 2),
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", TURNS)
def test_exif_orientation(tmp_path, orientation):
    pixels = pixels_of(12, 12)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    assert files.check("image", tmp_path / "a.png") == ""
    np.testing.assert_array_equal(files.read_image(tmp_path / "a.png", 12), TURNS[orientation](pixels))


def test_first_frame_of_an_animated_gif(tmp_path):
    frames = [Image.new("RGB", (10, 10), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=50)
    with Image.open(tmp_path / "a.gif") as saved:
        assert saved.n_frames == 3
    assert files.check("image", tmp_path / "a.gif") == ""
    assert (files.read_image(tmp_path / "a.gif", 10) == [255, 0, 0]).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1)])
def test_one_pixel_and_one_line(tmp_path, shape):
    Image.new("RGB", shape, (7, 8, 9)).save(tmp_path / "a.png")
    assert files.check("image", tmp_path / "a.png") == ""
    read = files.read_image(tmp_path / "a.png", 16)
    assert read.shape == (16, 16, 3)
    assert (read == [7, 8, 9]).all()


def test_the_middle_square_is_kept(tmp_path):
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = pixels_of(10, 10)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(files.read_image(tmp_path / "a.png", 10), pixels[:, 10:20])


def test_pictures_in_order_and_black_where_missing(tmp_path):
    for i in range(5):
        Image.new("RGB", (6, 6), (i + 1, 0, 0)).save(tmp_path / f"{i}.png")
    paths = ["", *(str(tmp_path / f"{i}.png") for i in range(5)), ""]
    read = files.read_images(paths, 6)
    assert read.shape == (7, 6, 6, 3)
    assert read[:, 3, 3, 0].tolist() == [0, 1, 2, 3, 4, 5, 0]
    assert files.read_images(["", ""], 6).sum() == 0
    assert files.read_images([], 6).shape == (0, 6, 6, 3)


# --- Pictures: what is wrong --------------------------------------------------------------------------


def encoded(kind):
    stream = io.BytesIO()
    Image.fromarray(pixels_of(64, 64)).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("half.jpg", encoded("JPEG")[:1500]),
        ("half.png", encoded("PNG")[:3000]),
        ("half.gif", encoded("GIF")[:1500]),
        ("half.webp", encoded("WEBP")[:500]),
        ("head.png", encoded("PNG")[:20]),
        ("flipped.png", encoded("PNG").replace(b"IDAT", b"IDXT")),
        ("text.png", b"This is no picture.\n"),
        ("page.png", b"<html><body>404 Not Found</body></html>"),
        ("empty.jpg", b""),
    ],
)
def test_a_damaged_file_is_told(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert files.check("image", tmp_path / name) == "IMAGE_BROKEN"
    with pytest.raises((OSError, SyntaxError, ValueError, UnidentifiedImageError)):
        files.read_image(tmp_path / name, 48)


def test_a_folder_or_nothing_is_no_picture(tmp_path):
    assert files.check("image", tmp_path) == "IMAGE_BROKEN"
    assert files.check("image", tmp_path / "nothing.png") == "IMAGE_BROKEN"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_any_single_changed_byte_of_a_picture_is_told_or_can_be_read(tmp_path):
    rng = np.random.default_rng(0)
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF"):
        whole = encoded(kind)
        for place in [*range(0, 60, 3), *rng.integers(0, len(whole), 15)]:
            hurt = bytearray(whole)
            hurt[place] ^= 0xFF
            (tmp_path / "a").write_bytes(hurt)
            reason = files.check("image", tmp_path / "a")
            assert reason in ("", "IMAGE_BROKEN", "IMAGE_TOO_LARGE", "IMAGE_NOT_READ"), (kind, place)
            if not reason:
                assert files.read_image(tmp_path / "a", 8).shape == (8, 8, 3)


def hurt_at_random(whole, rng):
    """Bytes changed, taken out and put in at up to five places, most of them in the head."""
    hurt = bytearray(whole)
    for _ in range(rng.integers(1, 6)):
        place = int(rng.integers(min(len(hurt), rng.choice([64, 256, len(hurt)]))))
        hurt[place : place + int(rng.integers(0, 4))] = rng.bytes(int(rng.integers(0, 4)))
    return bytes(hurt)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    "kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "DDS", "TGA", "ICO", "PCX", "PPM", "SGI", "AVIF"]
)
def test_a_picture_hurt_anywhere_is_told_or_can_be_read(tmp_path, kind):
    """Whatever Pillow's decoder raises; what passes the check can be read afterwards."""
    if kind not in Image.SAVE and Image.init() and kind not in Image.SAVE:
        pytest.skip(f"this Pillow writes no {kind}")
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    stream, options = io.BytesIO(), {"exif": exif} if kind in ("PNG", "JPEG", "WEBP", "TIFF") else {}
    Image.fromarray(pixels_of(16, 16)).save(stream, kind, **options)
    path, told = tmp_path / "a", 0
    for _ in range(150):
        path.write_bytes(hurt_at_random(stream.getvalue(), rng))
        reason = files.check("image", path)
        told += bool(reason)
        assert reason in ("", "IMAGE_BROKEN", "IMAGE_TOO_LARGE", "IMAGE_NOT_READ")
        if not reason:
            assert files.read_image(path, 8).shape == (8, 8, 3)
            assert np.isfinite(list(files.facts("image", path).values())).all()
    assert told > 0 or kind in ("TGA", "PPM", "SGI", "BMP")  # raw pixels: any byte will do


ORIENTED = b"MM\0*\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"  # a TIFF head, and: turn by 90 degrees
WRONG_TYPE = b"\x01\0\0\x02\0\0\0\x02ab\0\0"  # the width, as letters


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("exif", [b"garbage", b"\xc2\n1MM\0*\0", ORIENTED, ORIENTED + WRONG_TYPE + bytes(4)])
def test_broken_exif_costs_no_picture(tmp_path, kind, exif):
    """Every viewer shows such a picture; at worst it is not turned."""
    path, options = tmp_path / "a", {"lossless": True} if kind == "WEBP" else {}
    Image.new("RGB", (16, 16), (200, 30, 90)).save(path, kind, exif=b"Exif\0\0" + exif, **options)
    assert files.check("image", path) == ""
    np.testing.assert_allclose(files.read_image(path, 8).reshape(-1, 3), [[200, 30, 90]] * 64, atol=4)
    assert files.facts("image", path)["width"] == 16


def test_too_many_pixels_are_refused_before_decoding(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "MOST_PIXELS", 64 * 64 - 1)
    (tmp_path / "a.png").write_bytes(encoded("PNG"))
    assert files.check("image", tmp_path / "a.png") == "IMAGE_TOO_LARGE"
    (tmp_path / "a.png").write_bytes(encoded("PNG")[:3000])  # decoding this would say "broken"
    assert files.check("image", tmp_path / "a.png") == "IMAGE_TOO_LARGE"
    monkeypatch.setattr(pictures, "MOST_PIXELS", 64 * 64)
    assert files.check("image", tmp_path / "a.png") == "IMAGE_BROKEN"


def test_a_decompression_bomb_is_too_large(tmp_path):
    head = bytearray(encoded("BMP"))
    head[18:26] = (30_000).to_bytes(4, "little") * 2  # width and height: 900 million pixels
    (tmp_path / "a.bmp").write_bytes(head)
    assert files.check("image", tmp_path / "a.bmp") == "IMAGE_TOO_LARGE"


# --- Pictures: facts ----------------------------------------------------------------------------------


def test_facts_against_numpy_and_scipy(tmp_path):
    pixels = pixels_of(30, 40)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    facts = files.facts("image", tmp_path / "a.png")
    grey = np.round(pixels @ [0.299, 0.587, 0.114])  # ITU-R 601
    assert (facts["width"], facts["height"]) == (40, 30)
    assert facts["brightness"] == pytest.approx(grey.mean() / 255, abs=0.002)
    assert facts["blur"] == pytest.approx(laplace(grey)[1:-1, 1:-1].var(), rel=0.005)


def test_facts_of_flat_and_tiny_pictures(tmp_path):
    for size in [(1, 1), (2, 2), (50, 1), (20, 20)]:
        Image.new("RGB", size, "white").save(tmp_path / "a.png")
        assert files.facts("image", tmp_path / "a.png") == {
            "width": size[0], "height": size[1], "brightness": 1.0, "blur": 0.0,
        }  # fmt: skip


def test_a_blurred_picture_has_less_blur_variance(tmp_path):
    sharp = Image.fromarray(pixels_of(40, 40))
    sharp.save(tmp_path / "sharp.png")
    sharp.resize((8, 8), Image.Resampling.BOX).resize((40, 40)).save(tmp_path / "soft.png")
    soft, hard = (files.facts("image", tmp_path / f"{name}.png")["blur"] for name in ("soft", "sharp"))
    assert soft < hard / 20


def test_facts_of_16_bits_agree_with_8(tmp_path):
    deep = np.random.default_rng(1).integers(0, 65536, (20, 20)).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    Image.fromarray((deep >> 8).astype(np.uint8)).save(tmp_path / "plain.png")
    assert files.facts("image", tmp_path / "deep.png") == files.facts("image", tmp_path / "plain.png")


def test_facts_see_the_picture_that_the_encoder_sees(tmp_path):
    """A clear background is white and a turned picture is upright, as in ``read_image``."""
    Image.new("RGBA", (10, 20), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert files.facts("image", tmp_path / "clear.png")["brightness"] == 1.0
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (10, 20)).save(tmp_path / "turned.jpg", exif=exif)
    facts = files.facts("image", tmp_path / "turned.jpg")
    assert (facts["width"], facts["height"]) == (20, 10)


def tone(frequency=440.0, *, rate=16_000, seconds=0.5, height=0.5):
    return height * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)


def noise(n_samples, *, seed=0, height=0.1):
    return (np.random.default_rng(seed).normal(size=n_samples) * height).astype(np.float32)


def read_energy(path):
    return np.square(files.read_audio(path), dtype=np.float64).sum()


def loudest(samples, rate=16_000):
    """The frequency with the most energy, in Hz."""
    energy = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return np.fft.rfftfreq(len(samples), 1 / rate)[energy.argmax()]


# --- Sounds: reading ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "subtype", "within"),
    [
        ("a.wav", "PCM_U8", 1 / 100),
        ("a.wav", "PCM_16", 1 / 30_000),
        ("a.wav", "PCM_24", 1 / 8_000_000),
        ("a.wav", "FLOAT", 1e-7),
        ("a.wav", "DOUBLE", 1e-7),
        ("a.flac", "PCM_16", 1 / 30_000),
        ("a.ogg", "VORBIS", 0.05),
    ],
)
def test_formats_of_sounds(tmp_path, name, subtype, within):
    samples = tone(440)
    soundfile.write(tmp_path / name, samples, 16_000, subtype=subtype)
    assert files.check("audio", tmp_path / name) == ""
    read = files.read_audio(tmp_path / name)
    assert read.dtype == np.float32
    assert read.shape == samples.shape
    np.testing.assert_allclose(read, samples, atol=within)


def test_mp3(tmp_path):
    """Its encoder may put silence before the sound, so pitch, loudness and length are compared."""
    soundfile.write(tmp_path / "a.mp3", tone(440, seconds=1), 16_000)
    assert files.check("audio", tmp_path / "a.mp3") == ""
    read = files.read_audio(tmp_path / "a.mp3")
    assert len(read) == pytest.approx(16_000, abs=2500)
    assert loudest(read) == pytest.approx(440, abs=2)
    assert np.sqrt(np.mean(read[3000:13_000] ** 2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.03)


def test_channels_are_averaged(tmp_path):
    left, right = tone(440), tone(1000, height=0.3)
    soundfile.write(tmp_path / "a.wav", np.column_stack([left, right]), 16_000, subtype="FLOAT")
    assert files.check("audio", tmp_path / "a.wav") == ""
    np.testing.assert_allclose(files.read_audio(tmp_path / "a.wav"), (left + right) / 2, atol=1e-6)


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_resampling_keeps_pitch_loudness_and_length(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", tone(1200, rate=rate, seconds=1), rate, subtype="FLOAT")
    assert files.check("audio", tmp_path / "a.wav") == ""
    read = files.read_audio(tmp_path / "a.wav")
    assert abs(len(read) - 16_000) <= 1
    assert loudest(read) == pytest.approx(1200, abs=1)
    middle = read[2000:-2000]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.01)


def test_what_lies_above_the_new_limit_is_cut_not_folded(tmp_path):
    both = tone(1000, rate=96_000) + tone(15_000, rate=96_000)  # 15 kHz would fold to 1 kHz
    soundfile.write(tmp_path / "both.wav", both, 96_000, subtype="FLOAT")
    soundfile.write(tmp_path / "one.wav", tone(1000, rate=96_000), 96_000, subtype="FLOAT")
    both, one = (files.read_audio(tmp_path / f"{name}.wav")[500:-500] for name in ("both", "one"))
    np.testing.assert_allclose(both, one, atol=1e-3)


SOUND_FAULTS = {reason for reason in tables.REASONS if reason.startswith("AUDIO_")}


# --- Sounds: what is wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2])
def test_a_sound_without_samples_is_told(tmp_path, channels):
    soundfile.write(tmp_path / "a.wav", np.empty((0, channels)), 16_000)
    assert files.check("audio", tmp_path / "a.wav") == "AUDIO_EMPTY"


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_told(tmp_path, wrong):
    samples = tone()
    samples[77] = wrong
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    assert files.check("audio", tmp_path / "a.wav") == "AUDIO_NOT_FINITE"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.wav", b"This is no sound.\n" * 50),
        ("bytes.wav", np.random.default_rng(0).bytes(5000)),
        ("bytes.flac", np.random.default_rng(1).bytes(5000)),
        ("page.ogg", b"<html>404</html>"),
        ("empty.wav", b""),
        ("head.wav", b"RIFF\x24\x00\x00\x00WAVE"),
    ],
)
def test_garbage_is_no_sound(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert files.check("audio", tmp_path / name) == "AUDIO_BROKEN"


def test_a_folder_or_nothing_is_no_sound(tmp_path):
    assert files.check("audio", tmp_path) == "AUDIO_BROKEN"
    assert files.check("audio", tmp_path / "nothing.wav") == "AUDIO_BROKEN"


def test_any_single_changed_byte_of_a_sound_is_told_or_can_be_read(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a.wav", "a.flac", "a.ogg"):
        soundfile.write(tmp_path / name, tone(seconds=0.1), 16_000)
        whole = (tmp_path / name).read_bytes()
        for place in [*range(48), *rng.integers(0, len(whole), 15)]:
            hurt = bytearray(whole)
            hurt[place] ^= 0xFF
            (tmp_path / name).write_bytes(hurt)
            reason = files.check("audio", tmp_path / name)
            assert reason in ("", *SOUND_FAULTS), (name, place)
            if not reason:
                assert np.isfinite(read_energy(tmp_path / name)), (name, place)


@pytest.mark.parametrize("name", ["a.wav", "f.wav", "a.flac", "a.ogg", "a.aiff", "a.mp3"])
def test_a_sound_hurt_anywhere_is_told_or_can_be_read(tmp_path, name):
    """Also where the header promises more samples than fit into memory, or a sample is 1e38."""
    rng = np.random.default_rng(0)
    subtype = "FLOAT" if name == "f.wav" else None
    soundfile.write(tmp_path / name, tone(seconds=0.05), 16_000, subtype=subtype)
    whole = (tmp_path / name).read_bytes()
    for _ in range(100):
        hurt = bytearray(whole)
        for _ in range(rng.integers(1, 6)):
            place = int(rng.integers(min(len(hurt), rng.choice([64, 256, len(hurt)]))))
            hurt[place : place + int(rng.integers(0, 4))] = rng.bytes(int(rng.integers(0, 4)))
        (tmp_path / name).write_bytes(hurt)
        reason = files.check("audio", tmp_path / name)
        assert reason in ("", *SOUND_FAULTS)
        if not reason:
            assert np.isfinite(read_energy(tmp_path / name))
            assert np.isfinite(list(files.facts("audio", tmp_path / name).values())).all()


@pytest.mark.parametrize("factor", [1.0, 2.0**15, 2.0**31, 1e11])
def test_float_samples_of_any_scale_have_features(tmp_path, factor):
    """Programs write whole numbers as floats, too: 32,768 for full scale."""
    soundfile.write(tmp_path / "a.wav", factor * tone(), 16_000, subtype="FLOAT")
    assert files.check("audio", tmp_path / "a.wav") == ""
    assert np.isfinite(read_energy(tmp_path / "a.wav"))
    assert np.isfinite(list(files.facts("audio", tmp_path / "a.wav").values())).all()


@pytest.mark.parametrize("height", [1e13, 1e20, 3e38])
def test_samples_that_are_far_too_large_are_told(tmp_path, height):
    samples = tone()
    samples[77] = height
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    assert files.check("audio", tmp_path / "a.wav") == "AUDIO_NOT_FINITE"


def test_too_many_samples_are_refused_before_decoding(tmp_path, monkeypatch):
    path = tmp_path / "a.flac"
    soundfile.write(path, tone(seconds=0.1), 16_000)
    whole = bytearray(path.read_bytes())
    whole[21:26] = bytes([whole[21] & 0xF0 | 0x0F]) + b"\xff\xff\xff\xff"  # how many samples, in STREAMINFO
    path.write_bytes(whole)
    assert soundfile.info(path).frames > 10**10
    assert files.check("audio", path) == "AUDIO_TOO_LARGE"
    soundfile.write(tmp_path / "a.wav", np.zeros((100, 2)), 16_000)
    soundfile.write(tmp_path / "slow.wav", np.zeros(100), 100)  # 16,000 samples at 16 kHz
    for name, most in (("a.wav", 200), ("slow.wav", 16_000)):
        monkeypatch.setattr(sounds, "MOST_SAMPLES", most)
        assert files.check("audio", tmp_path / name) == ""
        monkeypatch.setattr(sounds, "MOST_SAMPLES", most - 1)
        assert files.check("audio", tmp_path / name) == "AUDIO_TOO_LARGE"


# --- Sounds: facts ------------------------------------------------------------------------------------


def test_facts_of_a_full_scale_sine(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(1000, rate=8000, seconds=1.5, height=1), 8000, subtype="FLOAT")
    facts = files.facts("audio", tmp_path / "a.wav")
    assert facts["rate"] == 8000
    assert facts["seconds"] == 1.5
    assert facts["loudness"] == pytest.approx(-3.0103, abs=1e-3)  # 20 log10 of 1/√2
    assert facts["clipped"] == 0.25  # of its eight samples a period, +1 and -1


def test_facts_of_a_square_wave_and_of_silence(tmp_path):
    samples = np.tile([0.1, -0.1], 500)
    samples[:50] = 1.0
    samples[50:100] = -1.0
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    facts = files.facts("audio", tmp_path / "a.wav")
    assert facts["clipped"] == pytest.approx(0.1)
    assert facts["loudness"] == pytest.approx(10 * np.log10(0.1 * 1 + 0.9 * 0.01), abs=1e-4)
    soundfile.write(tmp_path / "b.wav", np.zeros(800), 16_000)
    assert files.facts("audio", tmp_path / "b.wav") == {
        "rate": 16_000, "seconds": 0.05, "loudness": pytest.approx(-200), "clipped": 0.0, "silent": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize("rate", [8000, 44_100])
def test_the_silent_share_by_hand(tmp_path, rate):
    """0.2 s of nothing, 0.2 s at -70 dB, 0.6 s at -50 dB: two fifths are below -60 dB."""
    samples = np.concatenate([np.zeros(rate // 5), tone(rate=rate, seconds=0.2), tone(rate=rate, seconds=0.6)])
    samples[rate // 5 : 2 * rate // 5] *= 10 ** (-70 / 20) / (0.5 / np.sqrt(2))
    samples[2 * rate // 5 :] *= 10 ** (-50 / 20) / (0.5 / np.sqrt(2))
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    assert files.facts("audio", tmp_path / "a.wav")["silent"] == pytest.approx(0.4, abs=0.021)


def test_facts_of_stereo(tmp_path):
    both = np.column_stack([np.full(100, 0.5), np.zeros(100)])
    soundfile.write(tmp_path / "a.wav", both, 16_000, subtype="FLOAT")
    facts = files.facts("audio", tmp_path / "a.wav")
    assert facts["seconds"] == 100 / 16_000
    assert facts["loudness"] == pytest.approx(10 * np.log10(0.125), abs=1e-4)


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


def test_whatever_passed_can_be_read_and_has_facts(checked):
    pictures, sounds = ([path for path in checked[1][part] if path] for part in ("image", "audio"))
    assert files.read_images(pictures, 16).shape == (len(pictures), 16, 16, 3)
    assert np.isfinite(files.facts_table("image", pictures)).all(axis=None)
    assert len(splits.duplicate_images(pictures)) == len(pictures)
    assert all(np.isfinite(audio.mel_picture(path)).all() for path in sounds)
    assert np.isfinite(files.facts_table("audio", sounds)).all(axis=None)
    features = audio.AudioEncoder().fit(sounds, np.zeros(len(sounds), int)).transform(sounds)
    assert np.isfinite(features).all()


def test_facts_of_a_refused_file_are_told_with_the_reason(tmp_path):
    (tmp_path / "a.png").write_bytes(png_head(20_000, 20_000))
    with pytest.raises(ValueError, match=r"a\.png is refused as IMAGE_TOO_LARGE; expected one"):
        files.facts("image", tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"nothing\.wav is refused as AUDIO_BROKEN; expected one"):
        files.facts("audio", tmp_path / "nothing.wav")


def test_tables_of_facts_have_a_line_a_path(tmp_path):
    (tmp_path / "a.png").write_bytes(picture("PNG", size=(40, 30)))
    (tmp_path / "a.wav").write_bytes(sound(TONE, 8_000))
    pictures = files.facts_table("image", ["", str(tmp_path / "a.png")])
    assert pictures.iloc[1].to_dict() == files.facts("image", tmp_path / "a.png")
    sounds = files.facts_table("audio", [str(tmp_path / "a.wav"), ""])
    assert sounds.iloc[0].to_dict() == files.facts("audio", tmp_path / "a.wav")
    assert pictures.iloc[0].isna().all() and sounds.iloc[1].isna().all()
    assert files.facts_table("image", []).shape == (0, 4) and files.facts_table("audio", []).shape == (0, 5)


def test_medians_by_label_have_names_with_unit_and_direction(tmp_path):
    for i, level in enumerate((0, 255, 255)):
        Image.new("L", (10 + 10 * i, 8), level).save(tmp_path / f"{i}.png")
    soundfile.write(tmp_path / "a.wav", tone(1000, rate=8000, seconds=1.5, height=1), 8000, subtype="FLOAT")
    paths = [str(tmp_path / f"{i}.png") for i in range(3)]
    rows = pd.DataFrame({"image": [*paths, ""], "audio": ["", str(tmp_path / "a.wav"), "", ""], "label": list("abbc")})
    made = files.media_facts(rows.set_index(pd.Index([7, 3, 5, 1])))
    assert made.index.tolist() == ["a", "b", "c"]
    assert made["width, pixels"].tolist()[:2] == [10, 25] and made["brightness, 0 black to 1 white"].tolist()[:2] == [
        0,
        1,
    ]
    heard = made.loc["b"]
    assert (heard["sampling rate, Hz"], heard["length, s"], heard["samples at full scale, %"]) == (8000, 1.5, 25)
    assert heard["loudness, dB (0 is full scale)"] == pytest.approx(-3.0)
    assert made.loc["c"].isna().all() and made.loc["a"].notna().sum() == 4
    assert list(files.media_facts(rows.assign(audio=""))) == list(made)[:4]
    assert files.media_facts(rows.assign(audio="", image="")).empty


# --- More than 8 bits ---------------------------------------------------------------------------------

RAMP = np.linspace(0, 1, 1024).reshape(32, 32)
DEEP = {  # a ramp from black to white, in what programs store it in
    "float to 1": RAMP.astype(np.float32), "float to 255": (RAMP * 255).astype(np.float32),
    "float to 65535": (RAMP * 65535).astype(np.float32), "float from -1": (2 * RAMP - 1).astype(np.float32),
    "tiny floats": (RAMP / 5000).astype(np.float32), "floats with a gap": np.where(RAMP < 0.01, np.nan, RAMP).astype("f4"),
    "16 in 32": (RAMP * 65535).astype(np.int32), "31 in 32": (RAMP * (2**31 - 1)).astype(np.int32),
    "Hounsfield": (RAMP * 4000 - 1000).astype(np.int32), "12 in 16": (RAMP * 4095).astype(np.uint16),
    "10 in 16": (RAMP * 1023).astype(np.uint16), "8 in 16": (RAMP * 255).astype(np.uint16),
    "far from black": (30_000 + RAMP * 1000).astype(np.uint16), "16": (RAMP * 65535).astype(np.uint16),
}  # fmt: skip


@pytest.mark.parametrize("kind", DEEP)
def test_more_than_8_bits_are_scaled_by_the_range_they_have(tmp_path, kind):
    Image.fromarray(DEEP[kind]).save(tmp_path / "a.tiff")
    assert files.check("image", tmp_path / "a.tiff") == ""
    assert files.facts("image", tmp_path / "a.tiff")["brightness"] == pytest.approx(0.5, abs=0.01)
    np.testing.assert_allclose(files.read_image(tmp_path / "a.tiff", 32)[..., 0], 255 * RAMP, atol=3)


def deep_colours(values, kind):
    """A PNG of 16 bits a channel, which Pillow doesn't write: ``kind`` 2 for colours, 4 and 6 with alpha."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    height, width = values.shape[:2]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("most", [4095, 65535])
@pytest.mark.parametrize("kind", [2, 4, 6])
def test_colours_of_12_bits_in_16_are_not_black(tmp_path, most, kind):
    ramps = [RAMP] if kind == 4 else [RAMP, RAMP[::-1], RAMP.T]
    clear = [] if kind == 2 else [np.ones_like(RAMP)]
    (tmp_path / "a.png").write_bytes(deep_colours(np.dstack([*ramps, *clear]) * most, kind))
    assert files.check("image", tmp_path / "a.png") == ""
    expected = 255 * np.dstack(ramps * (3 if kind == 4 else 1))
    np.testing.assert_allclose(files.read_image(tmp_path / "a.png", 32), expected, atol=2)


# --- Large pictures, and those that say they are ------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "RGBA", "I;16", "JPEG"])
def test_a_large_picture_is_reduced_and_keeps_its_size_in_the_facts(tmp_path, monkeypatch, mode):
    grey = Image.fromarray(pixels_of(6, 8)).convert("L").resize((641, 480), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    if mode == "I;16":
        grey = Image.fromarray(np.asarray(grey).astype(np.uint16) << 8)
    else:
        grey = grey.convert("L" if mode == "JPEG" else mode)
    path = tmp_path / ("a.jpg" if mode == "JPEG" else "a.png")
    grey.save(path, exif=exif)
    whole, small = files.facts("image", path), files.read_image(path, 16).astype(int)
    monkeypatch.setattr(pictures, "MOST_WHOLE", 30_000)
    reduced, turned = pictures._decoded(path)
    assert 5_000 < reduced.width * reduced.height < 50_000 and turned == (480, 641)
    _, facts = pictures.examine(path)
    assert (facts["width"], facts["height"]) == (whole["width"], whole["height"]) == (480, 641)
    assert facts["brightness"] == pytest.approx(whole["brightness"], abs=0.01)
    np.testing.assert_allclose(files.read_image(path, 16), small, atol=12 if mode == "1" else 4)


def test_a_few_bytes_that_claim_many_pixels_are_refused(tmp_path):
    stream = io.BytesIO()
    Image.new("L", (1, 1)).save(stream, "GIF")
    bomb = bytearray(stream.getvalue())
    bomb[6:10] = struct.pack("<HH", 10_000, 5_000)
    (tmp_path / "a.gif").write_bytes(bomb)
    assert files.check("image", tmp_path / "a.gif") == "IMAGE_TOO_LARGE"
    stream = io.BytesIO()
    Image.new("1", (9000, 6000)).save(stream, "PNG")
    head = struct.pack("<HHHBBBBHHII", 0, 1, 1, 64, 64, 0, 0, 1, 32, stream.tell(), 22)  # an icon of 64 by 64
    (tmp_path / "a.ico").write_bytes(head + stream.getvalue())
    assert files.check("image", tmp_path / "a.ico") == "IMAGE_TOO_LARGE"
    Image.new("1", (6000, 6000)).save(tmp_path / "page.png")  # an empty page is no bomb
    assert files.check("image", tmp_path / "page.png") == ""


# --- Files of other kinds -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(300), "IMAGE_NOT_READ"),
        ("a.jpg", b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(300), "IMAGE_NOT_READ"),
        ("a.svg", b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "IMAGE_NOT_READ"),
        ("a.png", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "FILE_POINTER"),
        ("a.m4a", b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom" + bytes(300), "AUDIO_NOT_READ"),
        ("a.wma", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(300), "AUDIO_NOT_READ"),
        ("a.raw", bytes(8000), "AUDIO_NOT_READ"),
        ("a.RAW", bytes(8000), "AUDIO_NOT_READ"),
        ("a.wav", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "FILE_POINTER"),
    ],
)
def test_a_kind_that_is_not_read_is_named(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    part = "audio" if reason == "AUDIO_NOT_READ" or name == "a.wav" else "image"
    assert files.check(part, tmp_path / name) == reason
    assert files.check("audio", tmp_path / "nothing.raw") == "AUDIO_BROKEN"


def test_no_program_is_started_for_a_picture(tmp_path, monkeypatch):
    Image.new("RGB", (20, 20)).save(tmp_path / "a.eps")
    monkeypatch.setattr("subprocess.Popen.__init__", lambda *_, **__: pytest.fail("a program was started"))
    assert files.check("image", tmp_path / "a.eps") == "IMAGE_NOT_READ"
    with pytest.raises(ValueError, match="program in PostScript"):
        files.read_image(tmp_path / "a.eps", 8)


def test_a_refused_path_can_steer_no_terminal(tmp_path):
    name = "a\x1b[2J\x07.png"
    (tmp_path / name).write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"a⟨U\+001B⟩\[2J⟨U\+0007⟩\.png is refused as IMAGE_BROKEN"):
        files.facts("image", tmp_path / name)
    table = pd.DataFrame({"text": ["x"], "image": [name]}, index=[1])
    _, rejected = check_rows(table, columns={"text": "text", "image": "image"}, folder=tmp_path)
    assert rejected["detail"].tolist() == ["a⟨U+001B⟩[2J⟨U+0007⟩.png"]


# --- Sounds: channels that cancel, lost ends, rates, length -------------------------------------------


@pytest.mark.parametrize("channels", [[1, -1], [1, -0.95], [0.5, -0.5, 0.5, -0.5], [1, -1, 0]])
def test_channels_that_cancel_are_not_heard_as_silence(tmp_path, channels):
    soundfile.write(tmp_path / "a.wav", tone()[:, None] * channels, 16_000, subtype="FLOAT")
    loudest = channels[0] * tone()
    np.testing.assert_allclose(files.read_audio(tmp_path / "a.wav"), loudest, atol=1e-6)


def test_one_channel_of_six_and_voices_apart_are_averaged_as_ever(tmp_path):
    only = np.column_stack([tone()] + [np.zeros(8000)] * 5)
    soundfile.write(tmp_path / "a.wav", only, 16_000, subtype="FLOAT")
    np.testing.assert_allclose(files.read_audio(tmp_path / "a.wav"), tone() / 6, atol=1e-6)


@pytest.mark.parametrize("kind", ["WAV", "RF64", "W64", "AIFF", "AU", "CAF", "MP3", "FLAC"])
def test_a_sound_that_lost_its_end_is_told(tmp_path, kind):
    path, content = tmp_path / f"a.{kind.lower()}", sound(noise(40_000), kind=kind)
    path.write_bytes(content)
    assert files.check("audio", path) == ""
    path.write_bytes(content[: len(content) * 6 // 10])
    assert files.check("audio", path) in ("AUDIO_CUT", *(["AUDIO_BROKEN"] if kind in ("CAF", "FLAC") else []))


def test_sizes_that_a_program_could_not_know_are_no_lost_end(tmp_path):
    whole = sound(TONE)
    for size in (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF - 36, len(whole) - 8):  # the last one errs by 36
        (tmp_path / "a.wav").write_bytes(whole[:40] + struct.pack("<I", size) + whole[44:])
        assert files.check("audio", tmp_path / "a.wav") == "", size
        assert files.facts("audio", tmp_path / "a.wav")["seconds"] == 0.25


@pytest.mark.parametrize(
    ("rate", "reason"), [(1, "AUDIO_RATE"), (2, "AUDIO_RATE"), (100, ""), (384_000, ""), (2**31 - 1, "AUDIO_RATE")]
)
def test_rates_that_no_recorder_has_are_refused(tmp_path, rate, reason):
    soundfile.write(tmp_path / "a.wav", TONE[:2000] if rate < 384_000 else np.tile(TONE, 200), rate)
    assert files.check("audio", tmp_path / "a.wav") == reason


def test_a_long_sound_is_refused_before_decoding(tmp_path, monkeypatch):
    path = tmp_path / "a.flac"
    path.write_bytes(sound(np.zeros(605_000), 1000, kind="FLAC"))
    monkeypatch.setattr(sounds, "_decoded", lambda _: pytest.fail("it was decoded"))
    assert files.check("audio", path) == "AUDIO_TOO_LONG"
    monkeypatch.undo()
    assert files.check("audio", path, 700) == ""
    table = pd.DataFrame({"text": ["x"], "audio": ["a.flac"]}, index=[1])
    told = [
        check_rows(table, columns={"text": "text", "audio": "audio"}, folder=tmp_path, most_seconds=most)[1]["reason"]
        for most in (600, 700)
    ]
    assert [list(reasons) for reasons in told] == [["AUDIO_TOO_LONG"], []]


@pytest.mark.parametrize("rate", [16_000, 11_025])
def test_a_sound_read_in_blocks_is_the_same(tmp_path, monkeypatch, rate):
    both = np.column_stack([noise(30_001), noise(30_001, seed=1)])
    both[10_000:15_000] = 0
    soundfile.write(tmp_path / "a.wav", both, rate, subtype="FLOAT")
    _, whole = sounds.examine(tmp_path / "a.wav")
    samples = files.read_audio(tmp_path / "a.wav")
    monkeypatch.setattr(sounds, "_BLOCK", 2_000)
    assert sounds.examine(tmp_path / "a.wav") == ("", pytest.approx(whole, rel=1e-9))
    np.testing.assert_array_equal(files.read_audio(tmp_path / "a.wav"), samples)


def test_features_of_a_long_sound_are_made_in_blocks_and_are_the_same(monkeypatch):
    whole = audio.log_mel(noise(16_000))
    monkeypatch.setattr(audio, "_FRAMES_AT_ONCE", 7)
    np.testing.assert_array_equal(audio.log_mel(noise(16_000)), whole)
