"""Data arguments: what the commands that read data have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from liverec.training_packages import need_training

if TYPE_CHECKING:
    from liverec.data_options import DataOptions

DATA_HELP = (
    "[b]ml-100k[/b] (fetched by itself), or a file, folder or zip: any GroupLens layout, a CSV or Parquet with user_id,"
    " item_id, rating?, timestamp?, kind?, or a folder with train, valid? and test files, or an archive of events."
)
Items = Annotated[
    list[Path] | None,
    typer.Option(
        help="Items: item_id, title, categories, year, description, image, audio. Repeatable; later ones win."
    ),
]
Media = Annotated[
    Path | None, typer.Option(help="A folder to look for images and audio in before that of the items file.")
]
Columns = Annotated[
    list[str] | None,
    typer.Option("--column", help="Which column is which, for example --column user_id=uid. Repeatable."),
]
Configs = Annotated[list[Path] | None, typer.Option("--config", help="A TOML of configs/; later ones win. Repeatable.")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", help="One value, for example --set retriever.epochs=20. Repeatable.")
]
Minutes = Annotated[float | None, typer.Option(help="Begin nothing new after so many minutes.")]
BundlePath = Annotated[Path, typer.Option("--bundle", help="The bundle folder.")]
Histories = Annotated[
    list[Path],
    typer.Option("--histories", help="Events that make the histories, for example train.csv.gz. Repeatable."),
]
Cache = Annotated[Path, typer.Option(help="Where fetched and unpacked data is kept.")]

Archive = Annotated[
    Path | None,
    typer.Option(
        help="An archive of events to learn from beside the data, and from what the store at REDIS_URL has beyond it."
    ),
]
Tenant = Annotated[str, typer.Option(help="Whose part of store and archive; without it, that of no tenant.")]

DEFAULT_BUNDLE = Path("bundles/demo")
DEFAULT_CACHE = Path("var/data")


def data_options(
    source: str,
    cache: Path,
    column: list[str] | None,
    items: list[Path] | None,
    config: list[Path] | None,
    setting: list[str] | None,
    media: Path | None = None,
    archive: Path | None = None,
    tenant: str = "",
) -> DataOptions:
    """Return what a command was told of its data; raises ConfigError without the training packages."""
    need_training()
    from liverec.data_options import DataOptions

    return DataOptions(source, cache, column or [], items or [], config or [], setting or [], media, archive, tenant)
