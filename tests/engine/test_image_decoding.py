"""Pictures of any kind become upright RGB, and files that are none become a clear error."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from engine.errors import DataError
from engine.image_decoding import decode_image, image_pixels, thumbnail

MOST = 1_000_000
RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def halves(size: tuple[int, int] = (40, 40), mode: str = "RGB") -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    return image.convert(mode)


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def declared(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it has this size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = b"IDAT" + zlib.compress(b"")
    chunks = [struct.pack(">I", len(each) - 4) + each + struct.pack(">I", zlib.crc32(each)) for each in (header, body)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *[("JPEG", mode) for mode in ("RGB", "CMYK", "L", "1")],
        *[("PNG", mode) for mode in ("RGB", "P", "L", "1")],
        *[("WEBP", mode) for mode in ("RGB", "L")],
        *[("GIF", mode) for mode in ("P", "L", "1")],
    ],
)
def test_every_kind_and_mode_becomes_rgb(kind: str, mode: str) -> None:
    image = decode_image(encode(halves(mode=mode), kind), MOST)
    assert (image.mode, image.size) == ("RGB", (40, 40))
    if mode not in {"L", "1"}:
        assert np.abs(np.asarray(image)[20, 5].astype(int) - RED).max() < 12
        assert np.abs(np.asarray(image)[20, 35].astype(int) - BLUE).max() < 12


def test_transparency_becomes_white() -> None:
    clear = halves().convert("RGBA")
    clear.putalpha(0)
    assert decode_image(encode(clear), MOST).getpixel((5, 5)) == WHITE
    palette = halves(mode="P")
    index = palette.getpixel((5, 5))
    assert decode_image(encode(palette, transparency=index), MOST).getpixel((5, 5)) == WHITE
    assert decode_image(encode(palette, transparency=bytes([0] * 256)), MOST).getpixel((35, 5)) == WHITE


def test_sixteen_bits_of_grey_keep_their_shades() -> None:
    grey = Image.fromarray(np.array([[0, 32_768, 65_535]], dtype=np.uint16))
    assert np.asarray(decode_image(encode(grey), MOST))[0, :, 0].tolist() == [0, 128, 255]


def test_sixteen_bits_of_grey_are_not_widened() -> None:
    encoded = encode(Image.fromarray(np.zeros((2_000, 2_000), dtype=np.uint16)))
    tracemalloc.start()
    decode_image(encoded, 4_000_000)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 10 * 2_000 * 2_000


def test_the_camera_stood_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = decode_image(encode(halves((40, 20)), "JPEG", exif=exif, quality=95), MOST)
    assert image.size == (20, 40)
    assert image.getpixel((10, 5))[0] > 200
    assert image.getpixel((10, 35))[2] > 200


def test_of_an_animation_the_first_frame_is_taken() -> None:
    frames = [Image.new("RGB", (20, 20), color) for color in (RED, BLUE)]
    for kind in ("GIF", "WEBP"):
        encoded = encode(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
        assert decode_image(encoded, MOST).getpixel((5, 5)) == RED


@pytest.mark.parametrize(
    "encoded", [b"", b"GIF89a", b"no image at all", b"%PDF-1.7", encode(halves(), "BMP"), b"\x00" * 999]
)
def test_what_is_no_image_is_refused(encoded: bytes) -> None:
    with pytest.raises(DataError, match=r"no known format; give one of JPEG, PNG, WEBP, GIF|cannot be decoded"):
        decode_image(encoded, MOST)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_truncated_file_is_refused(kind: str) -> None:
    encoded = encode(noise(60, 60), kind)
    with pytest.raises(DataError, match=r"cannot be decoded .*encode it again"):
        decode_image(encoded[: len(encoded) // 2], MOST)


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (10_000, 10_000), (1_001, 1_000)])
def test_a_bomb_is_refused_before_it_is_decoded(width: int, height: int) -> None:
    with pytest.raises(DataError, match=f"too many pixels|{width} x {height} pixels; give one of at most {MOST}"):
        decode_image(declared(width, height), MOST)


@settings(max_examples=200)
@given(
    at=st.integers(0, 10_000), byte=st.integers(0, 255), length=st.integers(0, 10_000), kind=st.sampled_from(range(4))
)
def test_a_damaged_file_gives_pixels_or_an_error(at: int, byte: int, length: int, kind: int) -> None:
    whole = WHOLE[kind]
    damaged = bytearray(whole[: length % len(whole) + 1])
    damaged[at % len(damaged)] = byte
    try:
        pixels = image_pixels(bytes(damaged), 8, 8, MOST)
    except DataError:
        return
    assert pixels.shape == (3, 8, 8)


WHOLE = [encode(noise(30, 20), kind) for kind in ("JPEG", "PNG", "WEBP", "GIF")]


def test_pixels_are_cut_to_the_aspect_ratio_about_the_centre() -> None:
    image = Image.new("RGB", (90, 30), RED)
    image.paste(BLUE, (30, 0, 60, 30))
    pixels = image_pixels(encode(image), 16, 16, MOST)
    assert pixels.shape == (3, 16, 16)
    assert pixels.dtype == np.float32
    assert pixels[2].min() > 0.9
    assert pixels[2, :, 4:12].min() == 1.0
    assert pixels[:2].max() < 0.1


@pytest.mark.parametrize("size", [(1, 1), (1, 3_000), (3_000, 1), (7, 5), (1_500, 20)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_any_size_becomes_the_declared_one(size: tuple[int, int], kind: str) -> None:
    pixels = image_pixels(encode(Image.new("RGB", size, WHITE), kind), 96, 64, MOST)
    assert pixels.shape == (3, 96, 64)
    assert pixels.min() == pixels.max() == 1.0


def test_a_jpeg_is_not_decoded_smaller_than_needed() -> None:
    encoded = encode(noise(1_000, 800), "JPEG")
    assert decode_image(encoded, MOST, 96).size == (125, 100)
    assert decode_image(encoded, MOST).size == (1_000, 800)


def test_a_thumbnail_is_a_small_jpeg() -> None:
    encoded = thumbnail(encode(noise(600, 300)), 100, MOST)
    image = Image.open(io.BytesIO(encoded))
    assert (image.format, image.size) == ("JPEG", (100, 50))
    assert len(encoded) < 10_000
    assert Image.open(io.BytesIO(thumbnail(encode(halves((8, 8), "P")), 100, MOST))).size == (8, 8)
    assert Image.open(io.BytesIO(thumbnail(encode(noise(900, 2)), 30, MOST))).size == (30, 1)
    with pytest.raises(DataError, match="no known format"):
        thumbnail(b"no image", 100, MOST)
