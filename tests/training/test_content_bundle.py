"""What a bundle carries to read items: it says so, proves itself, and nothing damaged opens."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from worlds import TopicWorld

from engine.bundle import Bundle
from engine.bundle_layout import (
    CONTENT,
    CONTENT_VECTORS,
    NEWCOMER_METADATA,
    NEWCOMER_VECTORS,
    NEWCOMERS,
    TOKENIZER,
    TOWER,
)
from engine.bundled_content import Newcomers
from engine.errors import BundleError
from engine.item_content import ItemContent
from engine.vocabulary import Vocabulary
from training.evaluation import Catalogue

NEW_FILES = [
    CONTENT,
    CONTENT_VECTORS,
    NEWCOMERS,
    NEWCOMER_METADATA,
    NEWCOMER_VECTORS,
    TOKENIZER,
    TOWER.format("sasrec"),
]


def test_the_bundle_proves_itself(topic_opened: Bundle) -> None:
    assert len(topic_opened.probe.cases) >= 40
    topic_opened.probe.check(topic_opened.recommender())
    topic_opened.probe.check(topic_opened.recommender())


def test_newcomers_are_part_of_what_is_proved(topic_opened: Bundle, topic_world: TopicWorld) -> None:
    proved = {item_id for case in topic_opened.probe.cases for item_id in case.item_ids}
    assert proved & set(topic_world.newcomers)


def test_the_manifest_tells_how_items_are_read(topic_opened: Bundle) -> None:
    section = topic_opened.manifest.content
    assert section is not None
    assert section.score == topic_opened.manifest.metrics["rehearsed items"]["NDCG@10"] > 0.5
    assert section.parameters > 1_000
    assert section.config["text_network"] == {"width": 8, "filters": 8}
    assert section.spec.image is not None
    assert [source.kind for source in topic_opened.manifest.sources] == ["network", "content"]


def test_a_newcomer_is_encoded_as_the_bundle_has_it(topic_opened: Bundle, topic_world: TopicWorld) -> None:
    content, kept = topic_opened.content, topic_opened.items_content
    assert content is not None
    assert kept is not None
    assert kept.newcomers.vocabulary.ids() == tuple(sorted(topic_world.newcomers))
    ids = [item_id for item_id in kept.newcomers.vocabulary.ids() if item_id != "new bare"]
    wanted = kept.newcomers.vectors[kept.newcomers.vocabulary.indices_of(ids)]
    np.testing.assert_allclose(content.encode(topic_world.contents(ids)), wanted, atol=1e-4)
    bare = kept.newcomers.vectors[kept.newcomers.vocabulary.index_of("new bare")]
    assert not bare.any()
    assert not content.has_content(ItemContent(topic_world.metadata["new bare"]))


def test_a_content_version_names_the_network(topic_bundle: Path) -> None:
    one, other = Bundle.open(topic_bundle).items_content, Bundle.open(topic_bundle).items_content
    assert one is not None
    assert other is not None
    assert one.version == other.version != replace(one, network=one.network + b" ").version


def test_a_bundle_without_content_says_so(opened: Bundle) -> None:
    assert opened.content is None
    assert opened.items_content is None
    assert opened.manifest.content is None


def test_a_bundle_needs_no_newcomers(topic_opened: Bundle, tmp_path: Path) -> None:
    kept = topic_opened.items_content
    assert kept is not None
    nobody = Newcomers(Vocabulary(()), (), kept.newcomers.vectors[:0])
    found = replace(topic_opened, items_content=replace(kept, newcomers=nobody)).save(tmp_path / "b").items_content
    assert found is not None
    assert found.newcomers.live_items(0.0) == []
    assert found.newcomers.vectors.shape == (0, 6)
    recommender = replace(topic_opened, items_content=found).recommender()
    assert recommender.catalogue.get("item 00") is not None
    assert recommender.catalogue.get("new 00") is None
    assert len(Catalogue.of(replace(topic_opened, items_content=found)).vocabulary) == 42
    strange = replace(kept, newcomers=replace(nobody, vectors=kept.newcomers.vectors))
    with pytest.raises(BundleError, match=rf"{NEWCOMER_VECTORS} is for .*; train again"):
        replace(topic_opened, items_content=strange).save(tmp_path / "strange")


@pytest.mark.parametrize("name", NEW_FILES)
def test_a_damaged_or_missing_file_is_named(topic_bundle: Path, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(topic_bundle, copy)
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name} is damaged"):
        Bundle.open(copy)
    (copy / name).unlink()
    with pytest.raises(BundleError, match=rf"{name} is missing"):
        Bundle.open(copy)


def test_all_new_files_are_damaged_above(topic_opened: Bundle, opened: Bundle) -> None:
    new = topic_opened.manifest.files.keys() - opened.manifest.files.keys()
    assert {name for name in new if not name.endswith((".png", ".html", ".md"))} == set(NEW_FILES)
