"""source_index: the index of a trained source, tuned to its users."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from engine.encoder import Encoder
from engine.errors import TrainingError
from engine.index_build import IndexBuild
from engine.index_plan import IndexPlan
from engine.index_settings import TUNED_FOR
from engine.index_tuning import tuned
from engine.item_vectors import ItemVectors
from engine.items import ItemTable
from engine.search_index import SearchIndex
from engine.window import HistoryWindow
from training.index_config import IndexConfig
from training.interactions import histories_of
from training.preparation import Preparation

Floats = npt.NDArray[np.float32]
MOST_USERS, FEWEST_USERS = 512, 64


class IndexProgress:
    """A bar over the stages of a build; it is drawn only where there is a terminal."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task(name, total=None)

    def __enter__(self) -> IndexProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, stage: str, done: int, total: int) -> None:
        """Show how far a stage is."""
        self._bar.update(self._task, description=f"{self._name}, index: {stage}", completed=done, total=total)


def source_index(
    name: str, vectors: ItemVectors, queries: Floats | None, config: IndexConfig, seed: int
) -> tuple[SearchIndex, str]:
    """Return the index of output vectors [N,E] and what a person should know of it, "" if nothing.

    queries [Q,E]: user vectors that it is tuned to, if there are some. Raises RoomError where no index fits, and
    TrainingError where the recall that the config requires cannot be reached.
    """
    count, width = vectors.outputs.shape
    plan = IndexPlan.of(count, width, config.memory, config.kind)
    with IndexProgress(name) as progress:
        build = IndexBuild(vectors.outputs, plan, queries, seed, progress.show)
        index = tuned(build.run(), vectors.outputs, build.queries, config.recall)
    found = index.settings.recall
    if found is None or found >= config.recall:
        return index, ""
    said = (
        f"{name}: the index ({index.kind}) finds {found:.4f} of the best {TUNED_FOR} items, not {config.recall},"
        f" with width = {index.settings.width} and candidates = {index.settings.candidates}"
    )
    if config.required:
        raise TrainingError(f"{said}; lower index.recall, allow more index.memory, or set index.required = false")
    return index, said


def user_vectors(
    preparation: Preparation, window: HistoryWindow, items: ItemTable, vectors: ItemVectors, encoder: Encoder, seed: int
) -> Floats | None:
    """Return what some users search for [Q,E], by all that is known of them; None of too few to tune by."""
    known = preparation.known
    user_ids = known["user_id"].unique().sort().to_list()
    if len(user_ids) < FEWEST_USERS:
        return None
    drawn = np.random.default_rng(seed).permutation(len(user_ids))[:MOST_USERS]
    histories = histories_of(known, [user_ids[index] for index in sorted(drawn)])
    rows = window.newest(window.columns(histories, items), items.vocabulary.padding_index)
    batch = vectors.batch(rows)
    return encoder.encode(batch)[batch.lengths > 0]
