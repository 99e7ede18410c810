"""Preparation: a data set becomes clean, split events with a vocabulary, a window and item metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from engine.errors import ConfigError, DataError
from engine.events import RATING
from engine.vocabulary import Vocabulary
from engine.window import HistoryWindow
from training.cleaning import CleaningReport, clean
from training.config import TrainingConfig
from training.dataset import Dataset
from training.interactions import Interactions
from training.item_contents import ItemContents
from training.item_descriptions import ItemDescriptions
from training.split import Split, given, global_time, leave_one_out

IMPLICIT_SCALE = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Stored:
    """Training events on disk, and a sha256 over them."""

    interactions: Interactions
    digest: str


@dataclass(frozen=True, slots=True)
class Preparation:
    """What training starts from.

    metadata and contents are of the vocabulary's items in index order; both are empty if no item is described.
    newcomers: the described items that no training event knows, sorted, with theirs.
    """

    name: str
    split: Split
    vocabulary: Vocabulary
    window: HistoryWindow
    metadata: tuple[bytes, ...]
    reports: dict[str, CleaningReport]
    contents: ItemContents
    newcomers: tuple[str, ...]
    newcomer_metadata: tuple[bytes, ...]
    newcomer_contents: ItemContents
    stored: Stored | None = None
    """All training events, where they were streamed; `split` has those of the users who validate and test alone."""

    @classmethod
    def of(cls, dataset: Dataset, config: TrainingConfig) -> Preparation:
        """Clean and split a data set; raises DataError if too little is left to learn from."""
        if config.stream:
            raise ConfigError("stream = true is for `liverec train` without --auto; leave it out")
        cleaned = {part: clean(frame, config.cleaning) for part, frame in dataset.parts.items()}
        split = _split({part: frame for part, (frame, _) in cleaned.items()}, config.split)
        reports = {part: report for part, (_, report) in cleaned.items()}
        vocabulary = Vocabulary(split.train["item_id"].unique().sort())
        check_enough(dataset.name, len(split.train), split.train["user_id"].n_unique(), len(vocabulary))
        window = window_of(split.train, config, has_clock=_has_clock(split))
        return cls.described(dataset, split, vocabulary, window, reports)

    @classmethod
    def described(
        cls,
        dataset: Dataset,
        split: Split,
        vocabulary: Vocabulary,
        window: HistoryWindow,
        reports: dict[str, CleaningReport],
        stored: Stored | None = None,
    ) -> Preparation:
        """Add what the data set says of its items."""
        described = ItemDescriptions.of(dataset.items, dataset.media)
        newcomers = described.newcomers(vocabulary.ids())
        known, new = (described.metadata(ids) for ids in (vocabulary.ids(), newcomers))
        return cls(
            name=dataset.name,
            split=split,
            vocabulary=vocabulary,
            window=window,
            metadata=known,
            reports=reports,
            contents=described.contents(vocabulary.ids(), known),
            newcomers=newcomers,
            newcomer_metadata=new,
            newcomer_contents=described.contents(newcomers, new),
            stored=stored,
        )

    def interactions(self) -> Interactions:
        """Return the training events as what networks learn from."""
        if self.stored is not None:
            return self.stored.interactions
        return Interactions.of(self.split.train, self.vocabulary, self.window)

    @property
    def train_size(self) -> tuple[int, int]:
        """The numbers of training events and of their users."""
        if self.stored is not None:
            return int(self.stored.interactions.columns.offsets[-1]), len(self.stored.interactions.user_ids)
        return len(self.split.train), self.split.train["user_id"].n_unique()

    @property
    def known(self) -> pl.DataFrame:
        """The histories that the test events follow: train and valid."""
        return joined([self.split.train, self.split.valid])

    def fingerprint(self) -> str:
        """Return a sha256 over all that networks learn from: the events, and what is known of their items.

        Newcomers and the bytes of images and audio are not in it.
        """
        return hashlib.sha256(b"\n".join((self.digest().encode(), *self.metadata))).hexdigest()

    def digest(self) -> str:
        """Return a sha256 over the events of all parts."""
        digest = hashlib.sha256(b"" if self.stored is None else self.stored.digest.encode())
        for part in (self.split.train, self.split.valid, self.split.test):
            for name in ("user_id", "item_id", "kind", "value", "timestamp"):
                digest.update("\n".join(part[name].cast(pl.String).fill_null("").to_list()).encode() + b"\0")
        return digest.hexdigest()


def joined(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Put parts one after the other; at equal times the events of an earlier part stay the older ones."""
    shifted, rows = [], 0
    for part in parts:
        shifted.append(part.with_columns((pl.col("row") + rows).alias("row")))
        rows += int(part["row"].max() or 0)  # type: ignore[arg-type]
    return pl.concat(shifted)


def check_enough(name: str, events: int, users: int, items: int) -> None:
    """Raise DataError unless at least two users and two items are left."""
    if min(users, items) < 2:
        raise DataError(
            f"{name}: {events} training events of {users} users and {items} items are left; at least two users and"
            " two items are needed"
        )


def window_of(train: pl.DataFrame, config: TrainingConfig, *, has_clock: bool) -> HistoryWindow:
    """Return the window for training events, of which the kinds and the lowest and highest rating count."""
    return HistoryWindow(
        max_length=config.window.max_length,
        rating_scale=config.cleaning.rating_scale or _observed_scale(train),
        event_weights=_weights(train) | config.window.event_weights,
        has_clock=has_clock,
    )


def _split(parts: dict[str, pl.DataFrame], protocol: str) -> Split:
    if protocol == "given" or (protocol == "auto" and "train" in parts):
        return given(parts)
    events = joined(list(parts.values()))
    return global_time(events) if protocol == "global_time" else leave_one_out(events)


def _has_clock(split: Split) -> bool:
    clocks = {bool(part["timestamp"].null_count() == 0) for part in (split.train, split.valid, split.test) if len(part)}
    if len(clocks) > 1:
        raise DataError("some of train, valid and test have timestamps and some have none; give all of them or none")
    return clocks.pop()


def _weights(events: pl.DataFrame) -> dict[str, float]:
    # Where all that is known of a user are views, a view is all that somebody can say for an item.
    return {"view": 1.0} if "view" in events["kind"].unique() else {}


def _observed_scale(train: pl.DataFrame) -> tuple[float, float]:
    ratings = train.filter(pl.col("kind") == RATING)["value"].drop_nulls()
    if not len(ratings):
        return IMPLICIT_SCALE
    low, high = float(ratings.min()), float(ratings.max())  # type: ignore[arg-type]
    if low == high:
        raise DataError(f"every rating is {low}; state the scale with --set cleaning.rating_scale=[1,5]")
    return low, high
