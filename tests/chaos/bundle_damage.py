"""Every file of a bundle, damaged at every class of position: nothing damaged opens, and the error names the file."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from tiny_topics import TINY_TOPICS
from worlds import topics

from chaos.bundle_crafting import crafted_bundles, sealed
from chaos.bundle_opening import opened_apart
from engine.bundle import Bundle
from engine.bundle_folder import BundleFolder
from engine.bundle_key import BundleKey
from engine.bundle_layout import MANIFEST, SEAL, SIGNATURE
from engine.errors import BundleError
from engine.events import History
from engine.index_build import IndexBuild
from engine.index_plan import IndexPlan
from engine.index_settings import IndexKind
from engine.probe import Probe

Damage = Callable[[Path], None]
FLIPS: dict[str, Callable[[int], int]] = {
    "one bit": lambda byte: byte ^ 0x01,
    "highest bit": lambda byte: byte ^ 0x80,
    "all bits": lambda byte: byte ^ 0xFF,
    "zero": lambda byte: 0 if byte else 0x20,
}
REGIONS = 8


def run(folder: Path, size: int, seed: int) -> dict[str, object]:
    """Damage a bundle in `size` ways; then craft size / 6 bundles whose digests are right, and open each apart."""
    bundle = folder / "bundle"
    if not bundle.exists():
        train(bundle)
    return damage(bundle, folder, size, seed) | craft(bundle, folder, size // 6, seed)


def train(bundle: Path) -> None:
    """Train a bundle that reads items, in some seconds."""
    from training.config import TrainingConfig
    from training.pipeline import Pipeline
    from training.preparation import Preparation

    config = TrainingConfig.model_validate(TINY_TOPICS)
    world = topics(("words", "categories", "picture"))
    media = bundle.with_name("media")
    media.mkdir(parents=True)
    Pipeline(Preparation.of(world.dataset(media), config), config, lambda _: None).run(bundle)


def damage(bundle: Path, folder: Path, size: int, seed: int) -> dict[str, object]:
    """Return how many damages were done, and how many of them opened, crashed, or were not named: 0 of each."""
    copy = folder / "damaged"
    shutil.copytree(bundle, copy)
    key = BundleKey.generate()
    BundleFolder.sign(copy, key)
    Bundle.open(copy, [key.public_key])
    counts: Counter[str] = Counter()
    for what, names, done in damages(copy, size, np.random.default_rng(seed)):
        with done:
            refused(copy, key.public_key, names, what)
        counts[what.split(":")[0]] += 1
    Bundle.open(copy, [key.public_key])
    assert counts.total() >= size, f"only {counts.total()} damages"
    shutil.rmtree(copy)
    return {"damages": counts.total(), "opened": 0, "other errors": 0, "unnamed": 0, "kinds of damage": dict(counts)}


def refused(bundle: Path, public_key: str, names: set[str], what: str) -> None:
    """Raise AssertionError unless the bundle is refused with an error that names the file."""
    said = ""
    try:
        Bundle.open(bundle, [public_key])
    except BundleError as error:
        said = str(error)
    assert said, f"{what}: the bundle opened"
    assert any(name in said for name in names), f"{what}: {sorted(names)} is not named by: {said}"


def damages(copy: Path, size: int, random: np.random.Generator) -> Iterator[tuple[str, set[str], object]]:
    """Yield what is done, the files of which one must be named, and the doing, which undoes itself."""
    paths = sorted(copy.iterdir())
    whole = [each for path in paths for each in _whole(path)]
    whole += list(_swaps(paths, random)) + list(_strangers(copy))
    yield from whole
    each = -(-(size - len(whole)) // len(paths))
    for path in paths:
        for place, position in _positions(path.stat().st_size, each, random):
            name = str(random.choice(list(FLIPS)))
            yield f"flip at {place}: {path.name}[{position}] {name}", _named(path), _flipped(path, position, name)


def _positions(size: int, count: int, random: np.random.Generator) -> Iterator[tuple[str, int]]:
    yield "the first byte", 0
    yield "the last byte", size - 1
    for position in range(0, min(size, 128), 16):
        yield "the header", position
    for region in range(REGIONS):
        yield "a region", int(random.integers(region * size // REGIONS, max((region + 1) * size // REGIONS, 1)))
    for position in random.integers(size, size=max(count - 10 - REGIONS, 0)):
        yield "a random place", int(position)


def _named(path: Path) -> set[str]:
    # The seal is the manifest's digest: which of the two is damaged, nobody can say.
    return {MANIFEST, SEAL} if path.name in {MANIFEST, SEAL} else {path.name}


@contextmanager
def _flipped(path: Path, position: int, name: str) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR)
    before = os.pread(descriptor, 1, position)
    os.pwrite(descriptor, bytes([FLIPS[name](before[0])]), position)
    try:
        yield
    finally:
        os.pwrite(descriptor, before, position)
        os.close(descriptor)


def _whole(path: Path) -> Iterator[tuple[str, set[str], object]]:
    content, name = path.read_bytes(), path.name
    other = path.with_name(f"other {name}")
    for kept in {0, 1, len(content) // 2, len(content) - 1}:
        yield (
            f"truncation: {name} to {kept}",
            _named(path),
            _as(path, lambda kept=kept: path.write_bytes(content[:kept])),
        )
    for more in (b"\0", b"\n", content):
        yield (
            f"extension: {name} by {len(more)}",
            _named(path),
            _as(path, lambda more=more: path.write_bytes(content + more)),
        )
    yield (
        f"removal: {name}",
        _named(path) | ({path.parent.name} if name == MANIFEST else set()),
        _as(path, lambda: None),
    )
    yield f"rename: {name}", _named(path) | {other.name}, _as(path, lambda: other.write_bytes(content), other)
    yield f"folder: {name}", _named(path), _as(path, path.mkdir)
    yield f"pipe: {name}", _named(path), _as(path, lambda: os.mkfifo(path))
    yield f"device: {name}", _named(path), _as(path, lambda: path.symlink_to("/dev/zero"))
    elsewhere = path.parent.with_name(f"elsewhere {name}")
    yield f"link: {name}", _named(path), _as(path, lambda: (elsewhere.write_bytes(content), path.symlink_to(elsewhere)))


@contextmanager
def _as(path: Path, put: Callable[[], object], other: Path | None = None) -> Iterator[None]:
    """Put something else in the place of a file, and the file back."""
    kept = path.parent.with_name(f"kept {path.name}")
    path.rename(kept)
    try:
        put()
        yield
    finally:
        for each in (path, other):
            if each is not None and os.path.lexists(each):
                each.rmdir() if each.is_dir() else each.unlink()
        kept.rename(path)


def _swaps(paths: list[Path], random: np.random.Generator) -> Iterator[tuple[str, set[str], object]]:
    for _ in range(2 * len(paths)):
        one, other = (paths[index] for index in random.choice(len(paths), 2, replace=False))
        if one.read_bytes() != other.read_bytes():
            yield f"swap: {one.name} and {other.name}", _named(one) | _named(other), _swapped(one, other)


@contextmanager
def _swapped(one: Path, other: Path) -> Iterator[None]:
    contents = one.read_bytes(), other.read_bytes()
    one.write_bytes(contents[1])
    other.write_bytes(contents[0])
    try:
        yield
    finally:
        one.write_bytes(contents[0])
        other.write_bytes(contents[1])


def _strangers(copy: Path) -> Iterator[tuple[str, set[str], object]]:
    for name in ("extra.pkl", ".hidden", "manifest.sig.old", "sub"):
        yield f"stranger: {name}", {name}, _there(copy / name)


@contextmanager
def _there(path: Path) -> Iterator[None]:
    path.mkdir() if path.name == "sub" else path.write_bytes(b"x")
    try:
        yield
    finally:
        path.rmdir() if path.name == "sub" else path.unlink()


def craft(bundle: Path, folder: Path, size: int, seed: int) -> dict[str, object]:
    """Open bundles whose content was changed and whose digests are right; return what became of them.

    Each is opened in a process of its own with bounded memory, which recomputes the probe. Without the key of the
    signature not one of them opens.
    """
    kinds: tuple[IndexKind, ...] = ("hnsw", "ivf", "ivfpq")
    opened, bundles = Bundle.open(bundle), (bundle, *(folder / kind for kind in kinds))
    for kind in kinds:
        _indexed(opened, kind).save(folder / kind)
    key = BundleKey.generate()
    random, counts, wrong = np.random.default_rng(seed), Counter(), []
    with opened_apart() as outcome:
        for source in bundles:
            assert outcome(source) == ("accepted", ""), f"{source} itself: {outcome(source)}"
        for what, source, name, content in crafted_bundles(bundles, size, random):
            copy = folder / "crafted"
            shutil.copytree(source, copy)
            BundleFolder.sign(copy, key)
            sealed(copy, name, content)
            refused(copy, key.public_key, {SIGNATURE}, f"forged {what}")
            (copy / SIGNATURE).unlink()
            became, said = outcome(copy)
            counts[became] += 1
            if became not in {"accepted", "refused"}:
                wrong.append(f"{what}: {became}: {said}")
            shutil.rmtree(copy)
    assert not wrong, "\n".join(wrong[:20])
    return {"crafted": size, "forged signatures accepted": 0, "crashes": 0, "hangs": 0, **counts}


def _indexed(bundle: Bundle, kind: IndexKind) -> Bundle:
    """Return a bundle with another index and, for one kind, with vectors as bytes; its answers are its own."""
    encoded = {}
    for name, each in bundle.encoded.items():
        vectors = each.vectors.stored_as("int8" if kind == "ivf" else "float32")
        plan = IndexPlan.of(*vectors.outputs.shape, kind=kind)
        index = None if each.index is None else IndexBuild(vectors.outputs, plan).run()
        encoded[name] = replace(each, vectors=vectors, index=index)
    other = replace(bundle, encoded=encoded)
    histories = [History.of(case.events) for case in bundle.probe.cases]
    return replace(other, probe=Probe.record(other.recommender(), histories))
