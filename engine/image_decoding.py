"""Images: from a file of unknown origin to pixels."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from engine.errors import DataError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
JPEG_QUALITY = 88
WHITE = (255, 255, 255, 255)
# Resizing looks at this many times more pixels a side than it leaves.
GAP = 2

_warnings_lock = threading.Lock()


def decode_image(encoded: bytes, max_pixels: int, least: int | None = None) -> Image.Image:
    """Return a JPEG, PNG, WebP or GIF (its first frame) as upright RGB, transparency on white.

    With `least`, a JPEG may come at a fraction of its size, but no side of it below that many pixels. Raises DataError
    for anything else, a damaged file, and, before decoding, for more than max_pixels.
    """
    with _reading():
        image = Image.open(io.BytesIO(encoded), formats=FORMATS)
        _require_pixels(image.size, max_pixels)
        if least is not None:
            image.draft(None, (least, least))
        return _rgb(ImageOps.exif_transpose(image))


def image_pixels(encoded: bytes, height: int, width: int, max_pixels: int) -> npt.NDArray[np.float32]:
    """Return the pixels [3,height,width] in 0..1, cut to the aspect ratio about the centre; raises DataError."""
    image = decode_image(encoded, max_pixels, GAP * max(height, width))
    have_width, have_height = image.size
    scale = min(have_width / width, have_height / height)
    left, top = (have_width - scale * width) / 2, (have_height - scale * height) / 2
    box = (left, top, left + scale * width, top + scale * height)
    small = image.resize((width, height), Image.Resampling.LANCZOS, box=box, reducing_gap=GAP)
    return np.asarray(small, dtype=np.float32).transpose(2, 0, 1) / np.float32(255)


def thumbnail(encoded: bytes, most: int, max_pixels: int) -> bytes:
    """Encode again as a JPEG of at most `most` pixels a side, never enlarged; raises DataError like decode_image."""
    image = decode_image(encoded, max_pixels, GAP * most)
    image.thumbnail((most, most), Image.Resampling.LANCZOS, reducing_gap=GAP)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


@contextmanager
def _reading() -> Iterator[None]:
    # Damaged files make Pillow warn. What silences warnings is no thread's own, so one thread at a time.
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except DataError:
            raise
        except UnidentifiedImageError as error:
            raise DataError(f"the image is in no known format; give one of {', '.join(FORMATS)}") from error
        except Image.DecompressionBombError as error:
            raise DataError("the image has far too many pixels; give a smaller one") from error
        # A damaged file makes Pillow raise OSError, SyntaxError, ValueError, struct.error, IndexError and others.
        except Exception as error:
            raise DataError(f"the image cannot be decoded ({error}); encode it again") from error


def _require_pixels(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise DataError(f"the image has {width} x {height} pixels; give one of at most {max_pixels} in all")


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16 bits of grey; convert() would cut off all above 255. Wider integers would take a gigabyte.
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    shaded = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", shaded.size, WHITE), shaded).convert("RGB")
