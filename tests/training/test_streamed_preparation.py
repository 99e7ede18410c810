"""What is streamed is what is read at once: vocabulary, split, window, arrays; and no more rows are held than said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from engine.bundle import Bundle
from engine.errors import ConfigError, DataError
from training import event_buckets
from training.checkpoint import Checkpoint
from training.config import TrainingConfig
from training.dataset import Dataset, open_dataset
from training.evaluation import Evaluation
from training.pipeline import Pipeline
from training.preparation import Preparation
from training.streamed_preparation import streamed

BUCKET, BATCH = 60, 37


def world(users: int = 70, items: int = 40, seed: int = 0) -> pl.DataFrame:
    """Users with 1 to 30 events, in random order; some rate twice, some at one time, some items stand in no train."""
    random = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        count = int(random.integers(1, 31))
        times = np.sort(random.integers(0, 50, count)) * 1_000.0
        for item, time in zip(random.integers(0, items, count), times, strict=True):
            rows.append((f"user {user}", f"item {item}", float(random.integers(1, 11)) / 2, time))
        rows.append((f"user {user}", f"only {user}", 4.0, 60_000.0))
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "rating", "timestamp"], orient="row")
    return frame.sample(fraction=1.0, shuffle=True, seed=seed)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "events"


def dataset(tmp_path: Path, events: pl.DataFrame) -> Dataset:
    """Written as pieces of a Parquet table."""
    pieces = tmp_path / "pieces"
    pieces.mkdir()
    for number, part in enumerate(events.iter_slices(301)):
        part.write_parquet(pieces / f"{number:03}.parquet")
    return open_dataset(pieces, cache=tmp_path)


def config(**fields: object) -> TrainingConfig:
    weights = {"window": {"event_weights": {"purchase": 0.7}}}
    needed = weights | {
        "ranker": {"model": "none"},
        "ratings": {"model": "bias"},
        "report": False,
        "precision": "float32",
    }
    return TrainingConfig.model_validate(needed | fields)


def both(tmp_path: Path, folder: Path, events: pl.DataFrame, chosen: TrainingConfig) -> tuple[Preparation, Preparation]:
    data = dataset(tmp_path, events)
    return streamed(data, chosen, folder, bucket=BUCKET, batch=BATCH), Preparation.of(data, chosen)


WORLDS = {
    "ratings": world(),
    "views": world().drop("rating"),
    "kinds": world().with_columns(
        kind=pl.Series(["view", "purchase", "rating"]).sample(1150, with_replacement=True, seed=1).head(world().height)
    ),
    "no clock": world().drop("timestamp"),
    "dirty": world().with_columns(user_id=pl.when(pl.int_range(pl.len()) % 50 == 7).then(None).otherwise("user_id")),
}


@pytest.mark.parametrize("name", WORLDS)
def test_it_is_what_is_read_at_once(name: str, tmp_path: Path, folder: Path) -> None:
    mine, other = both(tmp_path, folder, WORLDS[name], config(cleaning={"min_user_events": 3}))
    assert mine.vocabulary.ids() == other.vocabulary.ids()
    assert mine.window == other.window
    assert mine.reports == other.reports
    assert mine.train_size == other.train_size
    one, two = mine.interactions(), other.interactions()
    assert one.user_ids == two.user_ids
    for column in ("item_index", "value", "timestamp", "offsets"):
        np.testing.assert_array_equal(getattr(one.columns, column), getattr(two.columns, column))
    np.testing.assert_array_equal(one.ratings, two.ratings)


@pytest.mark.parametrize("name", WORLDS)
def test_who_validates_is_drawn_as_from_all(name: str, tmp_path: Path, folder: Path) -> None:
    mine, other = both(tmp_path, folder, WORLDS[name], config(validation_users=20))
    found, expected = (Evaluation.of(each.split.train, each.split.valid, 20, 1) for each in (mine, other))
    assert found.user_ids == expected.user_ids
    assert found.wanted == expected.wanted
    assert simple(found) == simple(expected)
    assert mine.split.train["user_id"].n_unique() == 20


def simple(evaluation: Evaluation) -> list[tuple[str, str, str, float | None]]:
    """What a network or a filter reads of events: of values, those of ratings."""
    values = (
        (event, event.value if event.kind == "rating" else None)
        for each in evaluation.histories
        for event in each.events
    )
    return [(event.user_id, event.item_id, event.kind, value) for event, value in values]


def test_no_more_rows_are_held_than_said(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    seen_records, seen_frame = event_buckets.EventBuckets._records, event_buckets.Names.frame

    def records(self: event_buckets.EventBuckets, frame: pl.DataFrame) -> event_buckets.Records:
        held.append(len(frame))
        return seen_records(self, frame)

    def frame(self: event_buckets.Names, of: event_buckets.Records) -> pl.DataFrame:
        held.append(len(of))
        return seen_frame(self, of)

    monkeypatch.setattr(event_buckets.EventBuckets, "_records", records)
    monkeypatch.setattr(event_buckets.Names, "frame", frame)
    events = world(users=200)
    longest = int(events.group_by("user_id").len()["len"].max())
    streamed(dataset(tmp_path, events), config(), folder, bucket=BUCKET, batch=BATCH)
    assert sum(held) == 2 * len(events)
    assert max(held) <= BUCKET + longest < len(events) / 10
    assert sorted(each.name for each in folder.iterdir()) == ["train"]


def test_a_streamed_run_gives_the_bundle_that_a_run_in_memory_gives(tmp_path: Path, folder: Path) -> None:
    retriever = {"network": {"width": 8, "blocks": 1}, "epochs": 2, "events_per_batch": 200}
    chosen = config(threads=1, retriever=retriever, validation_users=10_000)
    networks = []
    for preparation, name in zip(both(tmp_path, folder, world(), chosen), ("streamed", "read"), strict=True):
        bundle = Pipeline(preparation, chosen, print).run(tmp_path / name)
        Bundle.open(tmp_path / name).probe.check(bundle.recommender())
        networks.append(bundle)
    one, two = (bundle.encoded["sasrec"].vectors.outputs for bundle in networks)
    np.testing.assert_array_equal(one, two)
    assert networks[0].manifest.data.events == networks[1].manifest.data.events
    assert networks[0].manifest.metrics == networks[1].manifest.metrics
    for name, column in networks[1].items.columns.items():
        np.testing.assert_array_equal(networks[0].items.columns[name], column)


def test_an_interrupted_streamed_run_goes_on(tmp_path: Path, folder: Path) -> None:
    retriever = {"network": {"width": 8, "blocks": 1}, "epochs": 3, "events_per_batch": 200, "validate_every": 1}
    chosen, data = config(threads=1, retriever=retriever), dataset(tmp_path, world())

    def learned(checkpoint: Checkpoint | None, stop_after: int | None = None) -> np.ndarray:
        def watch(_: str, epoch: int, __: object) -> None:
            if epoch == stop_after:
                raise KeyboardInterrupt

        # Prepared anew each time, as a command that is started again does.
        preparation = streamed(data, chosen, folder, bucket=BUCKET, batch=BATCH)
        if checkpoint is None:
            checkpoint = Checkpoint(tmp_path / "kept", chosen.resumable_digest(preparation.fingerprint()), 0.0)
        found = Pipeline(preparation, chosen, print, watch).learn(checkpoint)
        return found.encoders["sasrec"].item_vectors().detach().numpy()

    whole = learned(Checkpoint(tmp_path / "whole", "d"))
    with pytest.raises(KeyboardInterrupt):
        learned(None, stop_after=2)
    np.testing.assert_array_equal(learned(None), whole)


@pytest.mark.parametrize(
    "fields",
    [
        {"split": "global_time"},
        {"cleaning": {"min_item_events": 2}},
        {"ranker": {"model": "ncf"}},
        {"window": {"event_weights": {"skip": -0.5}}},
        {"refit": True},
    ],
)
def test_what_needs_all_events_at_once_is_refused(fields: dict[str, object], tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"needs all events at once.*stream = false"):
        streamed(dataset(tmp_path, world()), config(**fields), folder)
    assert not folder.exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, folder: Path) -> None:
    folder.mkdir()
    (folder / "diary.txt").write_text("dear diary")
    with pytest.raises(ConfigError, match=r"holds diary\.txt"):
        streamed(dataset(tmp_path, world()), config(), folder)
    assert (folder / "diary.txt").exists()


def test_reading_at_once_is_not_told_to_stream(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="stream = true is for"):
        Preparation.of(dataset(tmp_path, world()), config(stream=True))


@pytest.mark.parametrize(("column", "message"), [("timestamp", "have no timestamp"), ("rating", "have no value")])
def test_gaps_are_refused(column: str, message: str, tmp_path: Path, folder: Path) -> None:
    events = world().with_columns(pl.when(pl.int_range(pl.len()) > 5).then(column))
    with pytest.raises(DataError, match=rf"6 of \d.*{message}"):
        streamed(dataset(tmp_path, events), config(), folder)
