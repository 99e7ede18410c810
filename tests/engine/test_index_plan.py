"""The index of a catalogue is chosen by its size and by the memory that it may take, before anything is built."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.errors import RoomError
from engine.index_build import IndexBuild
from engine.index_plan import IndexPlan


@pytest.mark.parametrize(
    ("count", "kind"), [(10, "flat"), (50_000, "flat"), (50_001, "ivfpq"), (1_000_000, "ivfpq"), (10_000_000, "ivf")]
)
def test_small_catalogues_are_searched_exactly_and_large_ones_share_their_codes(count: int, kind: str) -> None:
    assert IndexPlan.of(count, 64).kind == kind


def test_where_memory_is_short_codes_are_shorter() -> None:
    wide, short = (IndexPlan.of(10_000_000, 64, kind=kind) for kind in ("ivf", "ivfpq"))
    assert short.bytes < wide.bytes / 2
    assert IndexPlan.of(10_000_000, 64, memory=wide.bytes) == wide
    assert IndexPlan.of(10_000_000, 64, memory=wide.bytes - 1) == short


def test_what_does_not_fit_is_refused_with_the_sizes() -> None:
    least = IndexPlan.of(10_000_000, 64, kind="ivfpq").bytes
    with pytest.raises(
        RoomError, match=rf"allows {least - 1:,} bytes.*ivfpq.*10,000,000 items x 64 takes {least:,}"
    ) as told:
        IndexPlan.of(10_000_000, 64, memory=least - 1)
    assert told.value.members == {"needed": least, "allowed": least - 1}
    with pytest.raises(RoomError, match="flat"):
        IndexPlan.of(1_000_000, 64, memory=1 << 20, kind="flat")


def test_an_index_that_cannot_be_built_in_what_is_free_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = IndexPlan.of(500, 16, kind="ivf")
    plan.check_room(plan.building_bytes)
    with pytest.raises(RoomError, match=rf"up to {plan.building_bytes:,} bytes, and 1,000 are free"):
        plan.check_room(1_000)
    monkeypatch.setattr("engine.index_plan.available_memory", lambda: 0)
    with pytest.raises(RoomError, match="0 are free"):
        IndexBuild(np.ones((500, 16), dtype=np.float32), plan).run()


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf", "ivfpq"])
def test_the_sizes_are_those_of_the_files(kind: str, tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(6_000, 32)).astype(np.float32)
    plan = IndexPlan.of(*vectors.shape, kind=kind)
    IndexBuild(vectors, plan).run().save(tmp_path / "it.faiss")
    # Lists of half-bytes are filled up to whole blocks.
    assert 0.9 < (tmp_path / "it.faiss").stat().st_size / plan.bytes < 1.5
