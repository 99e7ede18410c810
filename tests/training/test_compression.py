"""Compression: the smallest form that answers nearly as well, as it is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from engine.bundle import Bundle
from engine.encoder import NetworkEncoder
from engine.errors import ConfigError
from engine.neighbours import NeighbourTable
from engine.network_check import check_network
from engine.runtime import Network
from engine.window import HistoryBatch
from liverec.command_line import main
from training.compression import METRIC, CompressedForm, Compression, Form, _shortened, within
from training.evaluation import Evaluation
from training.preparation import Preparation
from training.quantisation import int8_network


@pytest.fixture(scope="module")
def evaluation(tiny_preparation: Preparation) -> Evaluation:
    split = tiny_preparation.split
    return Evaluation.of(split.train, split.valid)


@pytest.fixture(scope="module")
def found(tiny_bundle: Path, evaluation: Evaluation) -> tuple[CompressedForm, Bundle, list[CompressedForm]]:
    forms = list[CompressedForm]()
    best = Compression(tiny_bundle, evaluation, 0.5).run(forms.append)
    assert best is not None
    return (*best, forms)


def test_the_smallest_within_the_loss_is_chosen_and_proves_itself(found, tiny_bundle: Path, tmp_path: Path) -> None:
    best, bundle, forms = found
    assert {(each.form.vectors, each.form.int8_networks) for each in forms} == {
        (vectors, is_int8) for vectors in ("float32", "float16", "int8") for is_int8 in (False, True)
    }
    assert best.bytes == min(each.bytes for each in forms if each.loss <= 0.5)
    saved = bundle.save(tmp_path / "small")
    saved.probe.check(saved.recommender())
    whole, section = Bundle.open(tiny_bundle), saved.manifest.compression
    assert section is not None
    assert (section.vectors, section.int8_networks) == (best.form.vectors, best.form.int8_networks)
    assert (section.whole_version, section.metric) == (whole.model_version, METRIC)
    size = sum(each.bytes for each in saved.manifest.files.values())
    # The section in the manifest is none of its files.
    assert size == best.bytes < section.whole_bytes


def test_what_was_measured_is_the_quality_of_what_was_written(found, evaluation: Evaluation, tmp_path: Path) -> None:
    best, bundle, _ = found
    assert evaluation.measure(bundle.save(tmp_path / "small").recommender())[METRIC] == pytest.approx(best.quality)


def test_a_loss_that_nothing_keeps_within_leaves_the_whole(tiny_bundle: Path, evaluation: Evaluation) -> None:
    assert Compression(tiny_bundle, evaluation, -1.0).run(lambda _: None) is None


def test_without_events_to_measure_on_nothing_is_tried(tiny_bundle: Path, tiny_preparation: Preparation) -> None:
    nobody = Evaluation.of(tiny_preparation.split.train, tiny_preparation.split.valid.head(0))
    with pytest.raises(ConfigError, match="no validation events"):
        Compression(tiny_bundle, nobody, 0.1)


def test_who_keeps_within_the_loss_by_luck_is_not_chosen() -> None:
    losses = {Form(): 0.0, Form("float16"): 0.02, Form("int8"): 0.0, Form(int8_networks=True): 0.0}
    measured = [CompressedForm(form, 1 - loss, loss, 1, 1.0) for form, loss in losses.items()]
    assert [each.form for each in within(measured, 0.01)] == [Form(), Form(int8_networks=True)]
    shorter = Form(neighbours=50), Form(neighbours=25)
    assert Form().leaves_out_no_more_than(shorter[0])
    assert shorter[0].leaves_out_no_more_than(shorter[1])
    assert not shorter[1].leaves_out_no_more_than(shorter[0])


def test_the_heaviest_neighbours_stay_in_their_order() -> None:
    table = NeighbourTable(np.array([[4, 2, 1], [0, 0, 0]], dtype=np.int32), np.array([[1, -3, 2], [0, 0, 0]], "f4"))
    kept = _shortened(table, 2)
    assert kept.indices[0].tolist() == [2, 1]
    assert kept.weights[0].tolist() == [-3, 2]
    assert _shortened(table, 3) is table


def test_a_network_of_int8_is_smaller_plain_and_nearly_the_same(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    name = bundle.manifest.sources[0].name
    encoder = bundle.encoded[name].encoder
    smaller = int8_network(encoder, name)
    assert len(smaller) < 0.75 * len(encoder)
    check_network(smaller, name)
    assert int8_network(smaller, name) == smaller
    rng = np.random.default_rng(1)
    batch, length = 3, 5
    feeds = {
        "vectors": rng.normal(size=(batch, length, bundle.encoded[name].vectors.inputs.shape[1])).astype(np.float32),
        "values": rng.random((batch, length), dtype=np.float32),
        "ages": rng.random((batch, length), dtype=np.float32),
        "lengths": np.array([5, 2, 1]),
    }
    batches = HistoryBatch(**feeds), HistoryBatch(**{each: array[:1] for each, array in feeds.items()})
    before, after = (NetworkEncoder(Network(each, name)).encode(batches[0]) for each in (encoder, smaller))
    assert 0 < np.abs(before - after).max() < 0.05 * np.abs(before).max()
    # What others ask at the same time changes nothing.
    assert np.allclose(NetworkEncoder(Network(smaller, name)).encode(batches[1]), after[:1], atol=1e-5)


def test_the_command_writes_a_bundle_that_is_smaller(
    tiny_bundle: Path, tiny_events: pl.DataFrame, tmp_path: Path, monkeypatch, capsys
) -> None:
    data, other, out = tmp_path / "events.parquet", tmp_path / "other.parquet", tmp_path / "small"
    tiny_events.write_parquet(data)
    tiny_events.head(-50).write_parquet(other)
    assert called(monkeypatch, tiny_bundle, out, "--data", str(other)) == 2
    assert "other events" in capsys.readouterr().err
    assert not out.exists()
    assert called(monkeypatch, tiny_bundle, out, "--data", str(data), "--most-loss", "0.5") == 0
    assert Bundle.open(out).manifest.compression is not None
    assert "it loses" in capsys.readouterr().err


def called(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> object:
    monkeypatch.setattr("sys.argv", ["liverec", "compress", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code
