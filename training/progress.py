"""Progress: one line that shows how a stage gets on and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress


class Progress:
    """A progress bar over epochs, with the loss and the last validation beside it; `done` epochs were done before."""

    def __init__(self, title: str, total: int, done: int, metric: str) -> None:
        self._console = Console(stderr=True)
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[measured]}"),
            console=self._console,
        )
        self._title = title
        self._total = total
        self._done = done
        self._metric = metric
        self._validated = ""
        self._task = TaskID(0)

    def __enter__(self) -> Progress:
        self._bar.start()
        self._task = self._bar.add_task(self._title, total=self._total, completed=self._done, measured="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def advance(self, loss: float, metrics: Mapping[str, float]) -> None:
        """Show one more epoch; where there is no terminal to draw on, as a line of its own."""
        if metrics:
            self._validated = f" valid {self._metric} {metrics[self._metric]:.4f}"
        self._done += 1
        measured = f"loss {loss:.3f}{self._validated}"
        self._bar.update(self._task, advance=1, measured=measured)
        if not self._console.is_terminal:
            self._console.print(f"{self._title} {self._done}/{self._total} {measured}")
