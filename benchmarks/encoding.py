"""What it costs to read one new item: CPU time of its content vector, without and with a picture.

    python benchmarks/encoding.py --bundle BUNDLE [--items 200]

The bundle must read text and images (benchmarks/cold_start.py --out keeps such bundles). Texts are of 80 words,
pictures JPEG of 500 x 750 pixels; beside them stands what Pillow alone takes to decode such a picture whole.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import result
from PIL import Image

from engine.bundle import Bundle
from engine.item_content import ItemContent

SIZE = (500, 750)
SENTENCE = "a quiet detective follows the last witness of an old crime through a city that never sleeps"
WORDS = SENTENCE.split()


def picture(random: np.random.Generator) -> bytes:
    coarse = Image.fromarray(random.integers(0, 256, (30, 20, 3), dtype=np.uint8))
    encoded = io.BytesIO()
    coarse.resize(SIZE, Image.Resampling.BICUBIC).save(encoded, "JPEG", quality=90)
    return encoded.getvalue()


def text(random: np.random.Generator) -> dict[str, object]:
    return {
        "title": " ".join(random.choice(WORDS, 3)),
        "description": " ".join(random.choice(WORDS, 80)),
        "categories": ["Drama", "Crime"],
        "director": ["somebody"],
        "cast": ["one", "another", "a third"],
        "year": 1999,
    }


def milliseconds(each: Callable[[ItemContent], object], items: Sequence[ItemContent]) -> dict[str, float]:
    each(items[0])
    taken = []
    for item in items:
        started = time.process_time()
        each(item)
        taken.append((time.process_time() - started) * 1000)
    return {"mean ms": round(float(np.mean(taken)), 2), "p99 ms": round(float(np.percentile(taken, 99)), 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--items", type=int, default=200)
    options = parser.parse_args()
    encoder = Bundle.open(options.bundle).content
    if encoder is None:
        parser.error(f"{options.bundle} reads no items; train one with configs/hybrid.toml")
    random = np.random.default_rng(0)
    plain = [ItemContent(text(random)) for _ in range(options.items)]
    pictured = [ItemContent(item.metadata, picture(random)) for item in plain]
    rows = {
        "text": milliseconds(lambda item: encoder.encode([item]), plain),
        "text + picture": milliseconds(lambda item: encoder.encode([item]), pictured),
        "decoding the picture alone": milliseconds(
            lambda item: Image.open(io.BytesIO(item.image or b"")).convert("RGB"), pictured
        ),
    }
    rows["text + picture / decoding alone"] = {
        "mean": round(rows["text + picture"]["mean ms"] / rows["decoding the picture alone"]["mean ms"], 2)
    }
    result.write("encoding", result.command(), rows, items=options.items)


if __name__ == "__main__":
    main()
