"""Voucher: what a process has found right of a bundle, told to those that it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.file_stamp import FileStamp


@dataclass(frozen=True, slots=True)
class Voucher:
    """The sha256 of a bundle's manifest, and the stamps of its files as they were while all of it was checked.

    Who gets one from its own parent need not check files that are still the very same; if one is not, it checks all.
    """

    seal: str
    stamps: Mapping[str, FileStamp]
