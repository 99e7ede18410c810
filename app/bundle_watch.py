"""BundleWatch: puts another bundle into service while requests are answered."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from app.failure_log import log_failure
from app.serving import CURRENT, Serving
from engine.bundle_layout import SEAL
from engine.errors import LiverecError, StoreError

LAST_REQUEST_SECONDS = 60.0
"""How long the requests that began with the old bundle may take."""
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
STORE_SECONDS = 1.0
"""How often it asks whether a store that was away is back."""
WAITING = "waiting for the store"
logger = logging.getLogger("liverec")


class BundleWatch:
    """Follows one bundle folder, or a link to one, for a worker.

    folder: what is looked at. serving: what is in service at first. make: opens and proves a folder, in a thread;
    raises LiverecError for one that is no good. use: what gets the new one; requests that began with the old one end
    with it. poll_seconds: how often it looks; 0: only on `hurry`. `bundle_state` of what is in
    service tells what became of the newest bundle.
    """

    def __init__(
        self,
        folder: Path,
        serving: Serving,
        make: Callable[[Path], Serving],
        use: Callable[[Serving], None],
        poll_seconds: float,
    ) -> None:
        self._folder = folder
        self._serving = serving
        self._make = make
        self._use = use
        self._poll_seconds = poll_seconds
        self._hurry = asyncio.Event()
        # The version begins the sha256 of the manifest, which is what the seal holds.
        self._seal = serving.model_version
        self._refused, self._pause, self._again_at = "", FIRST_PAUSE, 0.0
        self._is_absent = False
        # What is proven and has only the items of the store to learn, and its seal.
        self._coming: tuple[str, Serving] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Put the first bundle into service, then look for others beside the requests."""
        await self._serving.items.tail.start()
        self._use(self._serving)
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """End; what is in service stops to follow the items."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._forget_coming()
        await self._serving.items.tail.stop()

    def hurry(self) -> None:
        """Look now."""
        self._again_at = 0.0
        self._hurry.set()

    async def _follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause_seconds):
                    await self._hurry.wait()
            self._hurry.clear()
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001 (it is logged, and the next look may succeed)
                log_failure("the folder of the bundle could not be looked at; trying again", error)

    @property
    def _pause_seconds(self) -> float | None:
        own = self._poll_seconds or None
        return own if self._coming is None else min(own or STORE_SECONDS, STORE_SECONDS)

    async def _look(self) -> None:
        seal = await asyncio.to_thread(_seal, self._folder)
        was_absent, self._is_absent = self._is_absent, not seal
        if seal[: len(self._seal)] == self._seal:
            await self._forget_coming()
            self._serving.bundle_state, self._refused = CURRENT, ""
            return
        if self._coming is not None and seal == self._coming[0]:
            await self._learn_items(*self._coming)
            return
        # A folder that is replaced is not there for a moment.
        is_known = seal == self._refused and asyncio.get_running_loop().time() < self._again_at
        if not is_known and (seal or was_absent):
            await self._try(seal)

    async def _try(self, seal: str) -> None:
        await self._forget_coming()
        # A link is followed once, so that all files are of one bundle.
        folder = await asyncio.to_thread(self._folder.resolve)
        error: Exception | None = None
        try:
            serving = await asyncio.to_thread(self._ready, folder)
        except Exception as unfit:  # noqa: BLE001 (it is logged, unless the folder was replaced meanwhile)
            error = unfit
        # Meanwhile the folder may have been replaced, or the link may lead elsewhere.
        if {await asyncio.to_thread(_seal, each) for each in (folder, self._folder)} != {seal}:
            return
        if error is not None:
            self._refuse(seal, error)
        else:
            await self._learn_items(seal, serving)

    async def _learn_items(self, seal: str, serving: Serving) -> None:
        """Put it into service, or let it wait while the store is away."""
        try:
            await serving.items.tail.start()
        except StoreError as error:
            self._wait(seal, serving, error)
        except BaseException:
            await serving.items.tail.stop()
            self._coming = None
            raise
        else:
            self._coming = None
            await self._swap(seal, serving)

    def _wait(self, seal: str, serving: Serving, error: StoreError) -> None:
        if self._coming is None:
            logger.error(
                "bundle %s is proven, but waits for the store: %s; %s stays until then",
                serving.model_version,
                error,
                self._serving.model_version,
            )
            serving.metrics.bundle_swaps.labels("waiting").inc()
        self._coming, self._refused = (seal, serving), ""
        self._serving.bundle_state = WAITING

    async def _forget_coming(self) -> None:
        if self._coming is not None:
            await self._coming[1].items.tail.stop()
            self._coming = None

    def _ready(self, folder: Path) -> Serving:
        serving = self._make(folder)
        serving.build_like(self._serving)
        return serving

    def _refuse(self, seal: str, error: Exception) -> None:
        now = asyncio.get_running_loop().time()
        if seal == self._refused and self._serving.bundle_state != CURRENT:
            # Perhaps it is still being copied.
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        else:
            self._pause = FIRST_PAUSE
            what = f"bundle {self._folder} is refused, {self._serving.model_version} stays"
            if isinstance(error, LiverecError):
                logger.error("%s: %s", what, error)
            else:
                log_failure(what, error)
            self._serving.metrics.bundle_swaps.labels("refused").inc()
        self._refused, self._again_at = seal, now + self._pause
        self._serving.bundle_state = f"refused: {seal[:12] or 'no bundle'}; the log says why"

    async def _swap(self, seal: str, serving: Serving) -> None:
        tail, ends = self._serving.items.tail, _ends(self._serving)
        self._serving = serving
        self._use(serving)
        self._seal, self._refused = seal, ""
        serving.metrics.bundle_swaps.labels("swapped").inc()
        logger.warning("bundle %s is in service", serving.model_version)
        del serving
        try:
            async with asyncio.timeout(LAST_REQUEST_SECONDS):
                while any(each() is not None for each in ends):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            logger.warning("a request has not let go of the bundle that was replaced")
        finally:
            await tail.stop()
        del tail
        _free()


def _ends(serving: Serving) -> list[weakref.ref[object]]:
    """Return what dies when the last request, and the last task after an answer, has let go of it."""
    return [weakref.ref(serving), weakref.ref(serving.recommending)]


def _seal(folder: Path) -> str:
    try:
        return (folder / SEAL).read_text(errors="replace").strip()
    except OSError:
        return ""


def _free() -> None:
    """Give back what the old bundle had; what is loaded now is not looked at with every collection."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
