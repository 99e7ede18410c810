"""The report of a training run: a page that needs nothing else, and a model card with the same numbers."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from engine.bundle import Bundle
from engine.errors import BundleError
from liverec.offline import report as write_report
from training.config import TrainingConfig
from training.curve import CurvePoint
from training.evaluation import Evaluation
from training.pipeline import Pipeline
from training.preparation import Preparation
from training.report import quality as quality_module
from training.report.files import report_files
from training.report.item_map import COLOURS, ItemMap, _projected
from training.report.page import SECTIONS
from training.report.quality import Quality
from training.report.run import Run

PNG = b"\x89PNG\r\n\x1a\n"
VOID = {"meta", "source", "img", "br", "link"}
HEADINGS = (
    "Model Details, Intended Use, Factors, Metrics, Evaluation Data, Training Data, Quantitative Analyses,"
    " Ethical Considerations, Caveats and Recommendations"
)


class Page(HTMLParser):
    """What a browser would find: sections, attributes, the cells of each table by its caption; tags must balance."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sections: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self._rows: list[list[str]] = []
        self._caption = ""
        self.feed(content.decode())
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.attributes.append((tag, found))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.sections.append(found["id"] or "")
        elif tag == "table":
            self._rows, self._caption = [], ""
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("th", "td"):
            self._rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "table":
            self.tables[self._caption.strip()] = self._rows

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data
        if "caption" in self.open:
            self._caption += data
        elif "th" in self.open or "td" in self.open:
            self._rows[-1][-1] += data


@pytest.fixture(scope="session")
def run(tiny_preparation: Preparation, tiny_config: TrainingConfig, tiny_bundle: Path, opened: Bundle) -> Run:
    test = Evaluation.of(tiny_preparation.known, tiny_preparation.split.test)
    recommender = opened.recommender()
    lists = {"retrieved": test.lists(recommender.without_ranker()), "reranked": test.lists(recommender)}
    curve = [CurvePoint(**point) for point in json.loads((tiny_bundle / "curves.json").read_text())]
    return Run(tiny_preparation, tiny_config, opened, curve, test, lists)


@pytest.fixture(scope="session")
def page(tiny_bundle: Path) -> Page:
    return Page((tiny_bundle / "report.html").read_bytes())


@pytest.fixture(scope="session")
def card(tiny_bundle: Path) -> str:
    return (tiny_bundle / "MODEL_CARD.md").read_text()


@pytest.fixture(scope="session")
def quality(run: Run) -> Quality:
    measured = Quality.of(run)
    assert measured is not None
    return measured


def with_metadata(run: Run, metadata: list[dict[str, object]]) -> Run:
    encoded = [json.dumps(each).encode() for each in metadata]
    items = replace(run.bundle.items, metadata=encoded)
    return replace(run, bundle=replace(run.bundle, items=items))


def without_test(run: Run) -> Run:
    split = replace(run.preparation.split, test=run.preparation.split.test.clear())
    metrics = {name: each for name, each in run.manifest.metrics.items() if not name.startswith("test")}
    bundle = replace(run.bundle, manifest=run.manifest.model_copy(update={"metrics": metrics}))
    nobody = Evaluation((), (), ())
    return replace(run, preparation=replace(run.preparation, split=split), bundle=bundle, test=nobody, lists={})


def parts(run: Run) -> tuple[Page, str, dict[str, bytes]]:
    files = report_files(run)
    return Page(files["report.html"]), files["MODEL_CARD.md"].decode(), files


def test_a_bundle_has_a_page_with_every_section(page: Page) -> None:
    assert page.sections == list(SECTIONS)
    assert "" not in page.tables
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in page.attributes if tag == "th")
    assert {attributes.get("href") for tag, attributes in page.attributes if tag == "a"} == {
        f"#{id}" for id in SECTIONS
    }


def test_the_page_needs_nothing_from_elsewhere(page: Page) -> None:
    assert {tag for tag, _ in page.attributes}.isdisjoint(("script", "link", "iframe"))
    for _, attributes in page.attributes:
        for name in ("src", "srcset", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,"))


def test_pictures_are_png_files_with_words_beside_them(page: Page, tiny_bundle: Path) -> None:
    drawn = [attributes for tag, attributes in page.attributes if tag == "img"]
    dark = [attributes["srcset"] for tag, attributes in page.attributes if tag == "source"]
    stages = {point["stage"] for point in json.loads((tiny_bundle / "curves.json").read_text())}
    assert len(drawn) == len(dark) == len(stages) + 1
    for uri in [*(each["src"] for each in drawn), *dark]:
        assert b64decode((uri or "").partition(",")[2]).startswith(PNG)
    assert all(each["alt"] and int(each["width"] or 0) > 0 for each in drawn)
    assert (tiny_bundle / "item_map.png").read_bytes().startswith(PNG)


def test_the_numbers_are_those_of_the_manifest(page: Page, card: str, opened: Bundle) -> None:
    head, *rows = page.tables[f"{opened.manifest.data.users} test users, ranking over the whole catalogue"]
    metrics = opened.manifest.metrics
    for stage in ("retrieved", "reranked"):
        cells = next(row for row in rows if stage in row[0])
        for name in ("NDCG@10", "HR@10", "MRR@10", "NDCG@20", "Recall@20"):
            assert cells[head.index(name)] == f"{metrics[f'test {stage}'][name]:.4f}"
        line = next(line for line in card.splitlines() if stage in line and line.startswith("|"))
        assert f"| {metrics[f'test {stage}']['NDCG@10']:.4f} |" in line
    assert [row[0] for row in rows[2:]] == ["popularity", "item-kNN", "EASE"]


def test_validation_and_ratings_are_shown_as_measured(page: Page, opened: Bundle) -> None:
    for metrics in opened.manifest.metrics.values():
        assert all(f"{metrics[name]:.4f}" in page.text for name in {"NDCG@10", "RMSE"} & metrics.keys())


def test_groups_add_up(quality: Quality) -> None:
    for measured in quality.rows.values():
        for groups in (measured.by_user_group, measured.by_item_group):
            users = sum(group["users"] for group in groups.values())
            assert users == measured.users
            total = sum(group["users"] * group["HR@10"] for group in groups.values())
            assert total / users == pytest.approx(measured.means["HR@10"])


def test_the_best_has_no_p_value_and_the_others_have(quality: Quality) -> None:
    p_values = quality.p_values()
    assert p_values.keys() == quality.rows.keys() - {quality.best}
    lead = quality.lead()
    assert lead is not None
    served, beaten = quality.served.means["NDCG@10"], quality.baselines[lead.baseline].means["NDCG@10"]
    assert lead.share == pytest.approx(served / beaten - 1)
    assert beaten == max(each.means["NDCG@10"] for each in quality.baselines.values())


def test_examples_are_five_test_users_with_their_hits(page: Page, run: Run) -> None:
    shown = re.findall(r"User (user \d+)\s", page.text)
    assert len(shown) == 5
    hits = [run.lists["reranked"][run.test.user_ids.index(user)][:10] for user in shown]
    wanted = [run.test.wanted[run.test.user_ids.index(user)] for user in shown]
    found = sum(len(right & set(items)) for right, items in zip(wanted, hits, strict=True))
    assert sum(attributes.get("class") == "hit" for _, attributes in page.attributes) == found > 0


def test_strange_words_are_shown_and_not_run(run: Run) -> None:
    words = ["<script>alert(1)</script>", "$x^{", "_hidden", "日本語のタイトル", "a\u202eb\x00c", "x" * 500, "", "]]>"]
    count = len(run.bundle.items)
    metadata = [{"title": words[row % len(words)], "categories": [words[row % len(words)]]} for row in range(count)]
    strange = with_metadata(run, metadata)
    data = run.manifest.data.model_copy(update={"name": "<img src=x onerror=alert(1)> | `rm` [a](b)"})
    bundle = replace(strange.bundle, manifest=run.manifest.model_copy(update={"data": data}))
    page, card, files = parts(replace(strange, bundle=bundle))
    assert "<script" not in files["report.html"].decode()
    assert "<script>alert(1)</script>" in page.text
    assert {tag for tag, attributes in page.attributes if "onerror" in attributes} == set()
    assert not {"\u202e", "\x00"} & set(page.text)
    assert r"\<img src=x onerror=alert(1)\> \| \`rm\` \[a\](b)" in card


def test_items_without_metadata_go_by_their_ids(run: Run) -> None:
    bundle = replace(run.bundle, items=replace(run.bundle.items, metadata=()))
    page, _, files = parts(replace(run, bundle=bundle))
    assert "item 3" in page.text
    assert "the item 3" not in page.text
    assert "item_map.png" in files
    assert b'class="legend"' not in files["report.html"]


def test_the_commonest_categories_have_colours(run: Run) -> None:
    count = len(run.bundle.items)
    metadata: list[dict[str, object]] = [{"categories": [f"kind {row % 12}", "second"]} for row in range(count - 2)]
    drawn = ItemMap.of(with_metadata(run, [*metadata, {}, {"categories": "no list"}]).bundle)
    assert drawn is not None
    assert drawn.has_categories
    assert len(drawn.kinds) == len(COLOURS) + 1
    assert drawn.kinds[-1].name == "other"
    assert sorted(row for kind in drawn.kinds for row in kind.rows) == list(range(count))


def test_the_map_parts_what_differs_most() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(scale=0.01, size=(20, 5)) + np.repeat(np.eye(5)[:2], 10, axis=0)
    projected = _projected(vectors)
    assert projected is not None
    points, explained = projected
    sides = np.sign(points[:, 0])
    assert abs(sides[:10].sum() - sides[10:].sum()) == 20
    assert 0.9 < explained <= 1.0
    assert _projected(np.ones((20, 5))) is _projected(np.ones((20, 1))) is None


def test_without_test_events_there_is_what_there_is(run: Run) -> None:
    page, card, files = parts(without_test(run))
    assert page.sections == ["training", "curves", "quality", "examples", "map", "cleaning"]
    assert "no test events" in page.text
    assert 'class="hit"' not in files["report.html"].decode()
    assert f"{run.manifest.metrics['valid retrieved']['NDCG@10']:.4f}" in page.text
    assert "nothing below was measured on events that took no part" in card


def test_large_catalogues_have_no_baselines(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quality_module, "MOST_SCORES", 1)
    page, card, _ = parts(run)
    assert all("too large to measure baselines" in text for text in (page.text, card))
    assert "EASE" not in [row[0] for rows in page.tables.values() for row in rows]


def test_the_model_card_has_all_headings_and_true_numbers(card: str, quality: Quality, opened: Bundle) -> None:
    assert re.findall("^## (.*)$", card, re.MULTILINE) == HEADINGS.split(", ")
    bias = quality.served.beyond_accuracy["PopularityBias@10"]
    assert f"the recommended items are {bias:.2f} times as popular" in card
    data = opened.manifest.data
    assert f"- Training events: {data.events:,} of {data.users:,} users on {data.items:,} items" in card


@pytest.fixture(scope="module")
def counted_config() -> TrainingConfig:
    """Nothing learns, so there is neither a curve nor a map."""
    models = {"retriever": "popularity", "ranker": "none", "ratings": "bias"}
    return TrainingConfig.model_validate({name: {"model": model} for name, model in models.items()} | {"threads": 1})


def test_what_learns_nothing_has_a_report_too(
    tiny_preparation: Preparation, counted_config: TrainingConfig, tmp_path: Path
) -> None:
    bundle = Pipeline(tiny_preparation, counted_config, print).run(tmp_path / "counted")
    page = Page((tmp_path / "counted" / "report.html").read_bytes())
    assert page.sections == ["training", "quality", "beyond", "groups", "examples", "cleaning"]
    assert not {"item_map.png", "curves.png"} & bundle.manifest.files.keys()


def test_a_report_can_be_left_out_and_is_missed_then(
    tiny_preparation: Preparation, counted_config: TrainingConfig, tmp_path: Path
) -> None:
    config = counted_config.model_copy(update={"report": False})
    bundle = Pipeline(tiny_preparation, config, print).run(tmp_path / "plain")
    assert not {"report.html", "MODEL_CARD.md"} & bundle.manifest.files.keys()
    assert bundle.manifest.metrics["test retrieved"]["HR@10"] > 0
    assert bundle.manifest.run_digest == counted_config.digest(tiny_preparation.fingerprint())
    with pytest.raises(BundleError, match=r"plain has no report\.html.*report=true"):
        write_report(tmp_path / "plain", tmp_path / "report.html")


def test_the_report_comes_out_of_the_bundle_as_it_is(tiny_bundle: Path, tmp_path: Path) -> None:
    write_report(tiny_bundle, tmp_path / "new" / "report.html")
    assert (tmp_path / "new" / "report.html").read_bytes() == (tiny_bundle / "report.html").read_bytes()
