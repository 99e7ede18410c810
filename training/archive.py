"""ZIP archives, unpacked once into a cache folder: bounded, without escape, all or nothing."""

import shutil
import stat
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from engine.errors import DataError
from engine.file_digest import file_digest

MAX_BYTES = 20 * 1024**3
MAX_MEMBERS = 10_000


def unpack(archive: Path, cache: Path, *, max_bytes: int = MAX_BYTES) -> Path:
    """Unpack `archive` into a folder of `cache` that is named after its content, and give that folder.

    An archive that was unpacked before is not unpacked again. Raises DataError if it is no ZIP, is damaged, encrypted,
    holds more than `max_bytes` or 10,000 members, or a name that would leave the folder; nothing stays behind then.
    """
    target = cache / f"{archive.stem}-{sha256_of(archive)[:16]}"
    if target.is_dir():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=cache) as temporary:
        folder = Path(temporary) / "content"
        try:
            _extract(archive, folder, max_bytes)
        except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError) as error:
            raise DataError(
                f"{archive}: cannot be unpacked ({error}). Fetch it again, or unpack it yourself."
            ) from error
        publish(folder, target)
    return target


def publish(folder: Path, target: Path) -> None:
    """Move a finished folder into place; a `target` that another process has put there meanwhile stays."""
    try:
        folder.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def sha256_of(path: Path) -> str:
    """Give the SHA-256 of a file's content in hexadecimal; raises DataError if there is no such file."""
    if not path.is_file():
        raise DataError(f"{path}: there is no such file. Check the path.")
    return file_digest(path)


def _extract(archive: Path, folder: Path, max_bytes: int) -> None:
    with zipfile.ZipFile(archive) as bundle:
        members = [member for member in bundle.infolist() if not member.is_dir()]
        _check(archive, members, max_bytes)
        for member in members:
            path = folder / member.filename
            path.parent.mkdir(parents=True, exist_ok=True)
            # zipfile stops at the declared size and checks the CRC, so a member cannot outgrow the bound
            with bundle.open(member) as source, path.open("xb") as sink:
                shutil.copyfileobj(source, sink)


def _check(archive: Path, members: list[zipfile.ZipInfo], max_bytes: int) -> None:
    size = sum(member.file_size for member in members)
    if size > max_bytes or len(members) > MAX_MEMBERS:
        raise DataError(
            f"{archive}: holds {len(members)} files of {size} bytes; at most {MAX_MEMBERS} files of {max_bytes} bytes "
            "are unpacked. Unpack it yourself if you trust it."
        )
    for member in members:
        if not _is_inside(member):
            raise DataError(f"{archive}: member {member.filename!r} would leave the folder. Do not trust this archive.")


def _is_inside(member: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(member.filename).parts
    escapes = member.filename.startswith("/") or ".." in parts or any(c in member.filename for c in "\\:")
    return bool(parts) and not escapes and not stat.S_ISLNK(member.external_attr >> 16)
