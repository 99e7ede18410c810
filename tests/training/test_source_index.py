"""What training builds an index from, and what it says where the index finds too little."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny import TINY

from engine.errors import RoomError, TrainingError
from engine.index_settings import IndexSettings
from engine.item_vectors import ItemVectors
from training.config import TrainingConfig
from training.index_config import IndexConfig
from training.pipeline import Pipeline
from training.preparation import Preparation
from training.source_index import source_index

RANDOM = np.random.default_rng(0)
OUTPUTS = RANDOM.normal(size=(900, 16)).astype(np.float32)
VECTORS = ItemVectors(np.zeros((901, 4), np.float32), OUTPUTS)
USERS = RANDOM.normal(size=(128, 16)).astype(np.float32)


def test_an_index_is_tuned_to_the_users_that_are_given() -> None:
    index, said = source_index("sasrec", VECTORS, USERS, IndexConfig(kind="ivf", recall=0.9), 1)
    assert not said
    assert index.settings.kind == "ivf"
    assert index.settings.recall is not None
    assert index.settings.recall >= 0.9


def test_without_users_it_is_tuned_to_what_is_like_them() -> None:
    index, _ = source_index("sasrec", VECTORS, None, IndexConfig(kind="ivf", recall=0.8), 1)
    assert index.settings.recall is not None


def test_a_recall_out_of_reach_is_said_or_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    # Every index reaches everything by looking at everything, but where that is not allowed.
    monkeypatch.setattr("engine.index_tuning.WIDEST_GRAPH", 200)
    monkeypatch.setattr("engine.index_build.graph_of", _thin_graph)
    config = IndexConfig(kind="hnsw", recall=1.0)
    index, said = source_index("sasrec", VECTORS, USERS, config, 1)
    assert isinstance(index.settings, IndexSettings)
    assert said.startswith(f"sasrec: the index (hnsw) finds {index.settings.recall:.4f} of the best 200 items, not 1.0")
    with pytest.raises(TrainingError, match=r"finds 0\.\d+ of the best 200.*index\.required = false"):
        source_index("sasrec", VECTORS, USERS, config.model_copy(update={"required": True}), 1)


def _thin_graph(width: int) -> object:
    import faiss

    return faiss.IndexHNSWFlat(width, 2, faiss.METRIC_INNER_PRODUCT)


def test_an_index_beyond_the_memory_is_refused() -> None:
    with pytest.raises(RoomError, match="900 items x 16"):
        source_index("sasrec", VECTORS, USERS, IndexConfig(memory=1_000), 1)


def test_how_an_index_searches_is_no_part_of_what_a_run_trains() -> None:
    plain, other = TrainingConfig(), TrainingConfig.model_validate({"index": {"vectors": "int8", "recall": 0.5}})
    assert plain.digest("data") == other.digest("data")
    assert plain.resumable_digest("data") == other.resumable_digest("data")


def test_a_bundle_is_served_with_the_index_and_the_vectors_that_the_config_asks_for(
    tiny_preparation: Preparation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.source_index.FEWEST_USERS", 10)
    index = {"index": {"kind": "ivf", "vectors": "int8", "recall": 0.5}}
    config = TrainingConfig.model_validate(TINY | index | {"report": False})
    bundle = Pipeline(tiny_preparation, config, print).run(tmp_path / "bundle")
    settings = bundle.manifest.indexes["sasrec"]
    assert (settings.kind, settings.wanted) == ("ivf", 0.5)
    assert bundle.manifest.vector_types["sasrec"] == "int8"
    assert (tmp_path / "bundle" / "sasrec_outputs.npy").stat().st_size < 24 * (17 + 4) + 200
    bundle.probe.check(bundle.recommender())
