"""A bundle of sources of every kind: trained, saved, opened, proven, and answering with reasons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.bundle import Bundle
from engine.errors import BundleError
from engine.events import Event, History
from engine.manifest import Manifest
from engine.query import Query
from training.config import TrainingConfig
from training.pipeline import Pipeline
from training.preparation import Preparation

NAMES = ["sasrec", "ease", "item_knn", "popularity", "sets"]
SOURCES = [
    {"model": "ease", "depth": 4},
    {"model": "item_knn", "depth": 3},
    {"model": "popularity", "depth": 2},
    {"model": "autoencoder", "name": "sets", "depth": 5, "epochs": 2, "first_epochs": 2, "network": {"width": 8}},
]


@pytest.fixture(scope="module")
def config(tiny_config: TrainingConfig) -> TrainingConfig:
    given = tiny_config.model_dump(exclude_unset=True)
    given["retriever"] |= {"depth": 3}
    given["ranker"] |= {"model": "target_attention", "network": {"hidden": 4, "attention_width": 4}}
    return TrainingConfig.model_validate(given | {"sources": SOURCES, "ratings": {"model": "bias"}, "report": False})


@pytest.fixture(scope="module")
def folder(tiny_preparation: Preparation, config: TrainingConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "sources"
    Pipeline(tiny_preparation, config, print).run(folder)
    return folder


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    return Bundle.open(folder)


def walk(*items: int) -> History:
    return History(tuple(Event("u", f"item {item}", "rating", 4.0, 1_000.0 * step) for step, item in enumerate(items)))


def test_the_manifest_names_every_source(bundle: Bundle, config: TrainingConfig) -> None:
    sources = {each.name: each for each in bundle.manifest.sources}
    assert list(sources) == NAMES
    assert [each.kind for each in sources.values()] == ["network", "neighbours", "neighbours", "popularity", "network"]
    assert [each.depth for each in sources.values()] == [3, 4, 3, 2, 5]
    assert (sources["sets"].model, sources["sets"].config["network"]) == ("autoencoder", {"width": 8})
    assert bundle.manifest.ranker is not None
    assert bundle.manifest.ranker.features == list(config.ranker_features)
    assert set(bundle.manifest.ranker.features) > {f"{name}_{kind}" for name in NAMES[1:] for kind in ("score", "rank")}
    assert bundle.encoded.keys() == {"sasrec", "sets"}
    assert {"ease", "item_knn"} <= bundle.items.neighbours.keys()


def test_the_opened_bundle_passes_its_probe(bundle: Bundle) -> None:
    assert {case.source for case in bundle.probe.cases} == {"rerank", "popular"}
    bundle.probe.check(bundle.recommender())


def test_answers_name_the_sources_that_proposed(bundle: Bundle) -> None:
    recommender = bundle.recommender()
    histories = [walk(*range(start, start + 5)) for start in range(15)]
    answers = recommender.recommend([Query(history, 6) for history in histories])
    reasons = {name for answer in answers for item in answer.items for name in item.reason}
    assert reasons == set(NAMES)
    for history, answer in zip(histories, answers, strict=True):
        found = recommender.candidates_for([history])
        ids = [recommender.items.vocabulary.id_of(index) for index in found.indices[0]]
        for item in answer.items:
            place = ids.index(item.item_id)
            assert item.reason == tuple(name for name, by in found.proposed.items() if by[0, place])
    popular = {recommender.items.vocabulary.id_of(index) for index in recommender.items.popular.first(2).tolist()}
    named = {item.item_id for answer in answers for item in answer.items if "popularity" in item.reason}
    assert popular <= named | {f"item {item}" for item in range(20)}


def test_saved_again_it_answers_alike(bundle: Bundle, tmp_path: Path) -> None:
    queries = [Query(walk(*range(start, start + 4)), 20) for start in range(12)]
    again = bundle.save(tmp_path / "again")
    assert again.recommender().recommend(queries) == bundle.recommender().recommend(queries)


def test_the_first_source_alone_is_the_retrieved_order(bundle: Bundle) -> None:
    retrieved = bundle.recommender().without_ranker()
    assert [each.name for each in retrieved.sources] == ["sasrec"]
    answer = retrieved.recommend([Query(walk(3, 4, 5), 20)])[0]
    outputs = bundle.encoded["sasrec"].vectors.outputs
    scores = outputs @ retrieved.user_vectors([walk(3, 4, 5)])[0]
    order = [bundle.items.vocabulary.id_of(index) for index in np.argsort(-scores, kind="stable").tolist()]
    assert [item.item_id for item in answer.items] == [each for each in order if each not in walk(3, 4, 5).seen()][:20]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sources": []}, "sources"),
        ({"neighbour_tables": ["ease"]}, r"there is no table for \['item_knn'\]"),
        ({"format_version": 1}, r"format_version.*this version reads format 4, train again"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(bundle: Bundle, wrong: dict[str, object], message: str) -> None:
    encoded = bundle.manifest.model_copy(update=wrong).to_json()
    with pytest.raises(BundleError, match=message):
        Manifest.from_json(encoded)


@pytest.mark.parametrize(("order", "message"), [([0, 0], "unique"), ([1, 0], "has no vectors for it")])
def test_sources_in_an_order_that_cannot_be_are_refused(bundle: Bundle, order: list[int], message: str) -> None:
    sources = [bundle.manifest.sources[place] for place in order]
    with pytest.raises(BundleError, match=message):
        Manifest.from_json(bundle.manifest.model_copy(update={"sources": sources}).to_json())


def test_a_missing_part_of_a_source_is_named(folder: Path) -> None:
    manifest = Bundle.open(folder).manifest
    files = {name for name in manifest.files if name.startswith(("sets_", "ease_", "item_knn_"))}
    assert files == {
        "sets_inputs.npy",
        "sets_outputs.npy",
        "sets_index.faiss",
        "sets_encoder.onnx",
        "ease_neighbours.npy",
        "ease_weights.npy",
        "item_knn_neighbours.npy",
        "item_knn_weights.npy",
    }
