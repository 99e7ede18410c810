"""An item table written as a bundle has it, and mapped again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.bundle_folder import BundleFolder
from engine.item_files import read_items, write_items
from engine.items import ItemTable
from engine.manifest import DataSection, FileEntry, Manifest, SourceSection
from engine.window import HistoryWindow


def mapped_items(items: ItemTable, folder: Path) -> ItemTable:
    """Write the files of the items into a folder, which may have been used before, and return what they say."""
    manifest = manifest_of(items)
    write_items(items, manifest, folder)
    return read_items(files_of(folder, manifest))


def files_of(folder: Path, manifest: Manifest) -> BundleFolder:
    """Return a folder whose files are as they should be, whatever they are."""
    entries = {path.name: FileEntry(bytes=path.stat().st_size, sha256="0" * 64) for path in folder.iterdir()}
    files = BundleFolder(folder, manifest.model_copy(update={"files": entries}), "", None)
    return replace(files, stamps={name: files._stamp(name, entry) for name, entry in entries.items()})


def manifest_of(items: ItemTable) -> Manifest:
    """Return a manifest for these items."""
    return Manifest(
        created_at="2026-01-01T00:00:00+00:00",
        liverec_version="0",
        git_revision="unknown",
        libraries={},
        seed=1,
        window=HistoryWindow(),
        data=DataSection(name="", protocol="", events=0, users=0, items=len(items), digest="", cleaning={}),
        sources=[SourceSection(name="popularity", model="popularity", kind="popularity", config={})],
        ranker=None,
        ratings=None,
        vocabulary_digest=items.vocabulary.digest(),
        item_columns=sorted(items.columns),
        neighbour_tables=sorted(items.neighbours),
        metrics={},
        run_digest="",
        files={},
    )
