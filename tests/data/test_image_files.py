"""Pictures of every kind: read as they are seen, told what is wrong, facts against NumPy and SciPy."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy.ndimage import laplace

from fusebook.data import files


def noise(height=30, width=40, channels=3, *, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


# --- Reading ------------------------------------------------------------------------------------------


def test_rgb_comes_back_as_it_is(tmp_path):
    pixels = noise(24, 24)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert files.check_image(tmp_path / "a.png") == ""
    read = files.read_image(tmp_path / "a.png", 24)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, pixels)


def test_cmyk(tmp_path):
    Image.new("CMYK", (20, 20), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    assert files.check_image(tmp_path / "a.jpg") == ""
    read = files.read_image(tmp_path / "a.jpg", 8)
    assert read.shape == (8, 8, 3)
    np.testing.assert_allclose(read.reshape(-1, 3), [[255, 0, 0]] * 64, atol=4)  # no cyan is full red


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_has_three_equal_channels(tmp_path, mode):
    grey = (noise(16, 16, 1)[..., 0] > 127).astype(np.uint8) * 255
    Image.fromarray(grey).convert(mode).save(tmp_path / "a.png")
    assert files.check_image(tmp_path / "a.png") == ""
    np.testing.assert_array_equal(files.read_image(tmp_path / "a.png", 16), np.dstack([grey] * 3))


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    deep = np.linspace(0, 65535, 256).reshape(16, 16).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    assert files.check_image(tmp_path / "a.png") == ""
    read = files.read_image(tmp_path / "a.png", 16)
    np.testing.assert_array_equal(read, np.dstack([deep // 256] * 3))


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_tiff_of_32_bits_can_be_read(tmp_path, dtype):
    Image.fromarray(np.full((8, 8), 100, dtype)).save(tmp_path / "a.tiff")
    assert files.check_image(tmp_path / "a.tiff") == ""
    assert (files.read_image(tmp_path / "a.tiff", 8) == 100).all()


def test_alpha_is_laid_on_white(tmp_path):
    layers = noise(16, 16, 4)
    Image.fromarray(layers).save(tmp_path / "a.png")
    share = layers[..., 3:] / 255
    by_hand = layers[..., :3] * share + 255 * (1 - share)
    np.testing.assert_allclose(files.read_image(tmp_path / "a.png", 16), by_hand, atol=1)


def test_grey_with_alpha_is_laid_on_white(tmp_path):
    layers = noise(16, 16, 2)
    Image.fromarray(layers, "LA").save(tmp_path / "a.png")
    share = layers[..., 1] / 255
    by_hand = layers[..., 0] * share + 255 * (1 - share)
    np.testing.assert_allclose(files.read_image(tmp_path / "a.png", 16), np.dstack([by_hand] * 3), atol=1)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("shape", [(1600, 1200), (300, 2000)])
def test_a_large_jpeg_decoded_at_a_fraction_looks_the_same(tmp_path, mode, shape):
    Image.fromarray(noise(9, 12)).resize(shape).convert(mode).save(tmp_path / "a.jpg", quality=95)
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
    assert files.check_image(tmp_path / "a.png") == ""
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
    pixels = noise(12, 12)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    assert files.check_image(tmp_path / "a.png") == ""
    np.testing.assert_array_equal(files.read_image(tmp_path / "a.png", 12), TURNS[orientation](pixels))


def test_first_frame_of_an_animated_gif(tmp_path):
    frames = [Image.new("RGB", (10, 10), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=50)
    with Image.open(tmp_path / "a.gif") as saved:
        assert saved.n_frames == 3
    assert files.check_image(tmp_path / "a.gif") == ""
    assert (files.read_image(tmp_path / "a.gif", 10) == [255, 0, 0]).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1)])
def test_one_pixel_and_one_line(tmp_path, shape):
    Image.new("RGB", shape, (7, 8, 9)).save(tmp_path / "a.png")
    assert files.check_image(tmp_path / "a.png") == ""
    read = files.read_image(tmp_path / "a.png", 16)
    assert read.shape == (16, 16, 3)
    assert (read == [7, 8, 9]).all()


def test_the_middle_square_is_kept(tmp_path):
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = noise(10, 10)
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


# --- What is wrong ------------------------------------------------------------------------------------


def encoded(kind):
    stream = io.BytesIO()
    Image.fromarray(noise(64, 64)).save(stream, kind)
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
    assert files.check_image(tmp_path / name) == "IMAGE_BROKEN"
    with pytest.raises((OSError, SyntaxError, ValueError, UnidentifiedImageError)):
        files.read_image(tmp_path / name)


def test_a_folder_or_nothing_is_told(tmp_path):
    assert files.check_image(tmp_path) == "IMAGE_BROKEN"
    assert files.check_image(tmp_path / "nothing.png") == "IMAGE_BROKEN"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_any_single_changed_byte_is_told_or_can_be_read(tmp_path):
    rng = np.random.default_rng(0)
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF"):
        whole = encoded(kind)
        for place in [*range(0, 60, 3), *rng.integers(0, len(whole), 15)]:
            hurt = bytearray(whole)
            hurt[place] ^= 0xFF
            (tmp_path / "a").write_bytes(hurt)
            reason = files.check_image(tmp_path / "a")
            assert reason in ("", "IMAGE_BROKEN", "IMAGE_TOO_LARGE"), (kind, place)
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
def test_a_file_hurt_anywhere_is_told_or_can_be_read(tmp_path, kind):
    """Whatever Pillow's decoder raises; what passes the check can be read afterwards."""
    if kind not in Image.SAVE and Image.init() and kind not in Image.SAVE:
        pytest.skip(f"this Pillow writes no {kind}")
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    stream, options = io.BytesIO(), {"exif": exif} if kind in ("PNG", "JPEG", "WEBP", "TIFF") else {}
    Image.fromarray(noise(16, 16)).save(stream, kind, **options)
    path, told = tmp_path / "a", 0
    for _ in range(150):
        path.write_bytes(hurt_at_random(stream.getvalue(), rng))
        reason = files.check_image(path)
        told += bool(reason)
        assert reason in ("", "IMAGE_BROKEN", "IMAGE_TOO_LARGE")
        if not reason:
            assert files.read_image(path, 8).shape == (8, 8, 3)
            assert np.isfinite(list(files.image_facts(path).values())).all()
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
    assert files.check_image(path) == ""
    np.testing.assert_allclose(files.read_image(path, 8).reshape(-1, 3), [[200, 30, 90]] * 64, atol=4)
    assert files.image_facts(path)["width"] == 16


def test_too_many_pixels_are_refused_before_decoding(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MOST_PIXELS", 64 * 64 - 1)
    (tmp_path / "a.png").write_bytes(encoded("PNG"))
    assert files.check_image(tmp_path / "a.png") == "IMAGE_TOO_LARGE"
    (tmp_path / "a.png").write_bytes(encoded("PNG")[:3000])  # decoding this would say "broken"
    assert files.check_image(tmp_path / "a.png") == "IMAGE_TOO_LARGE"
    monkeypatch.setattr(files, "MOST_PIXELS", 64 * 64)
    assert files.check_image(tmp_path / "a.png") == "IMAGE_BROKEN"


def test_a_decompression_bomb_is_too_large(tmp_path):
    head = bytearray(encoded("BMP"))
    head[18:26] = (30_000).to_bytes(4, "little") * 2  # width and height: 900 million pixels
    (tmp_path / "a.bmp").write_bytes(head)
    assert files.check_image(tmp_path / "a.bmp") == "IMAGE_TOO_LARGE"


# --- Facts --------------------------------------------------------------------------------------------


def test_facts_against_numpy_and_scipy(tmp_path):
    pixels = noise(30, 40)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    facts = files.image_facts(tmp_path / "a.png")
    grey = np.round(pixels @ [0.299, 0.587, 0.114])  # ITU-R 601
    assert (facts["width"], facts["height"]) == (40, 30)
    assert facts["brightness"] == pytest.approx(grey.mean() / 255, abs=0.002)
    assert facts["blur"] == pytest.approx(laplace(grey)[1:-1, 1:-1].var(), rel=0.005)


def test_facts_of_flat_and_tiny_pictures(tmp_path):
    for size in [(1, 1), (2, 2), (50, 1), (20, 20)]:
        Image.new("RGB", size, "white").save(tmp_path / "a.png")
        assert files.image_facts(tmp_path / "a.png") == {
            "width": size[0], "height": size[1], "brightness": 1.0, "blur": 0.0,
        }  # fmt: skip


def test_a_blurred_picture_has_less_blur_variance(tmp_path):
    sharp = Image.fromarray(noise(40, 40))
    sharp.save(tmp_path / "sharp.png")
    sharp.resize((8, 8), Image.Resampling.BOX).resize((40, 40)).save(tmp_path / "soft.png")
    soft, hard = (files.image_facts(tmp_path / f"{name}.png")["blur"] for name in ("soft", "sharp"))
    assert soft < hard / 20


def test_facts_of_16_bits_agree_with_8(tmp_path):
    deep = np.random.default_rng(1).integers(0, 65536, (20, 20)).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    Image.fromarray((deep >> 8).astype(np.uint8)).save(tmp_path / "plain.png")
    assert files.image_facts(tmp_path / "deep.png") == files.image_facts(tmp_path / "plain.png")


def test_facts_see_the_picture_that_the_encoder_sees(tmp_path):
    """A clear background is white and a turned picture is upright, as in ``read_image``."""
    Image.new("RGBA", (10, 20), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert files.image_facts(tmp_path / "clear.png")["brightness"] == 1.0
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (10, 20)).save(tmp_path / "turned.jpg", exif=exif)
    facts = files.image_facts(tmp_path / "turned.jpg")
    assert (facts["width"], facts["height"]) == (20, 10)
