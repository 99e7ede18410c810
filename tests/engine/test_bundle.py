"""A bundle says exactly what it is, and nothing damaged opens."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.atomic import atomic_folder
from engine.bundle import Bundle
from engine.bundle_folder import BundleFolder
from engine.bundle_reading import read_networks
from engine.errors import BundleError, ConfigError
from engine.events import History
from engine.index_build import IndexBuild
from engine.index_plan import IndexPlan
from engine.index_settings import IndexKind
from engine.index_tuning import tuned
from engine.probe import Probe
from engine.vector_table import VectorType

QUERIES = np.random.default_rng(0).normal(size=(64, 17)).astype(np.float32)
EVERY_KIND_OF_FILE = [
    "sasrec_encoder.onnx",
    "sasrec_index.faiss",
    "sasrec_inputs.npy",
    "sasrec_outputs.npy",
    "ease_neighbours.npy",
    "cooccurrence_weights.npy",
    "ranker.onnx",
    "manifest.json",
    "probe.json",
    "item_ids.txt",
    "item_id_rows.npy",
    "metadata.jsonl",
    "metadata_offsets.npy",
    "popular_order.npy",
]


def test_an_opened_bundle_recomputes_its_probe(opened: Bundle) -> None:
    assert len(opened.probe.cases) >= 40
    assert {case.source for case in opened.probe.cases} >= {"popular"}
    opened.probe.check(opened.recommender())


def test_a_probe_with_another_answer_is_refused(opened: Bundle) -> None:
    case = opened.probe.cases[0]
    wrong = Probe((type(case)(case.events, case.source, case.item_ids[::-1], case.scores),))
    with pytest.raises(BundleError, match=r"probe\.json: case 0"):
        wrong.check(opened.recommender())


def test_the_manifest_tells_what_a_reader_wants_to_know(opened: Bundle) -> None:
    manifest = opened.manifest
    assert manifest.data.name == "ring"
    assert manifest.data.items == len(opened.items) == 24
    (source,) = manifest.sources
    assert (source.name, source.model, source.kind, source.depth) == ("sasrec", "sasrec", "network", 200)
    assert source.config["network"]["width"] == 16
    assert manifest.ratings is not None
    assert {"torch", "onnxruntime", "faiss-cpu"} <= manifest.libraries.keys()
    assert {"curves.png", "curves.json", "cleaning_all.json"} <= manifest.files.keys()
    assert len(manifest.model_version) == 12


def test_nothing_in_a_bundle_is_pickled(tiny_bundle: Path) -> None:
    assert {path.suffix for path in tiny_bundle.iterdir()} <= {
        ".html",
        ".json",
        ".jsonl",
        ".md",
        ".npy",
        ".faiss",
        ".onnx",
        ".png",
        ".sha256",
        ".txt",
    }
    for path in tiny_bundle.glob("*.npy"):
        np.load(path, allow_pickle=False)


@pytest.mark.parametrize(("kind", "vectors"), [("ivf", "int8"), ("ivfpq", "float16"), ("hnsw", "float32")])
def test_other_indexes_and_vectors_open_as_they_were_saved(
    opened: Bundle, tmp_path: Path, kind: IndexKind, vectors: VectorType
) -> None:
    encoded = {}
    for name, each in opened.encoded.items():
        stored = each.vectors.stored_as(vectors)
        plan = IndexPlan.of(*stored.outputs.shape, kind=kind)
        index = (
            None if each.index is None else tuned(IndexBuild(stored.outputs, plan).run(), stored.outputs, QUERIES, 0.9)
        )
        encoded[name] = replace(each, vectors=stored, index=index)
    changed = replace(opened, encoded=encoded)
    histories = [History.of(case.events) for case in opened.probe.cases]
    changed = replace(changed, probe=Probe.record(changed.recommender(), histories))
    again = changed.save(tmp_path / "changed")
    assert again.manifest.indexes["sasrec"].kind == kind
    assert again.manifest.indexes == {name: each.index.settings for name, each in encoded.items() if each.index}
    assert set(again.manifest.vector_types.values()) == {vectors}
    again.probe.check(again.recommender())
    Bundle.open(tmp_path / "changed").probe.check(Bundle.open(tmp_path / "changed").recommender())


def test_vectors_of_another_type_than_the_manifest_says_are_refused(opened: Bundle, tmp_path: Path) -> None:
    opened.save(tmp_path / "changed")
    folder = BundleFolder.open(tmp_path / "changed").checked()
    manifest = folder.manifest.model_copy(update={"vector_types": {"sasrec": "int8"}})
    with pytest.raises(BundleError, match=r"sasrec_inputs\.npy is float32.*wanted int8"):
        read_networks(replace(folder, manifest=manifest))


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_flipped_byte_anywhere_is_noticed(tiny_bundle: Path, tmp_path: Path, data: st.DataObject) -> None:
    copy = tmp_path / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(tiny_bundle, copy)
    path = copy / data.draw(st.sampled_from(_names(copy)))
    content = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(BundleError, match="manifest" if path.name.startswith("manifest") else path.name):
        Bundle.open(copy)


@pytest.mark.parametrize("name", EVERY_KIND_OF_FILE)
def test_a_truncated_or_missing_file_is_named(tiny_bundle: Path, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_bundle, copy)
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(BundleError, match=name):
        Bundle.open(copy)
    (copy / name).unlink()
    with pytest.raises(BundleError, match=name):
        Bundle.open(copy)


def test_a_foreign_file_is_named(tiny_bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_bundle, copy)
    (copy / "extra.pkl").write_bytes(b"x")
    with pytest.raises(BundleError, match=r"extra\.pkl is not in the manifest"):
        Bundle.open(copy)


def test_no_folder_and_an_empty_folder_say_how_to_make_a_bundle(tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(BundleError, match="liverec train"):
            Bundle.open(folder)


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "bundle"

    def write_half() -> None:
        with atomic_folder(target) as folder:
            (folder / "half").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(opened: Bundle, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "file").write_text("x")
    for name in ("precious", "file", "file/below"):
        with pytest.raises(ConfigError, match=name):
            opened.save(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "precious"]
