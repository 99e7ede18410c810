"""Supervisor: the workers of a service, started, replaced and ended."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from socket import socket

from prometheus_client.multiprocess import mark_process_dead
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from app.draining_server import HAND_OVER, DrainingServer
from app.metrics import FOLDER_VARIABLE
from app.server_config import DRAIN_SECONDS, HUNG_SECONDS, READY_SECONDS, ServerConfig

TICK_SECONDS = 0.1
STEADY_SECONDS = 30.0
"""How long a worker must live not to count as one that dies at once."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
END_SECONDS = DRAIN_SECONDS + 5.0
logger = logging.getLogger("liverec")


class Worker(Process):
    """One process that serves."""

    def __init__(self, config: ServerConfig, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        self._config = config
        self.is_serving = False
        self.began = time.monotonic()
        self._asked_at: float | None = None
        self._ended_at = 0.0

    @property
    def is_running(self) -> bool:
        """Whether the process lives and has given a sign of life lately."""
        limit = HUNG_SECONDS if self.is_serving else READY_SECONDS
        is_hung = self._asked_at is not None and time.monotonic() > self._asked_at + limit
        is_late = not self.is_serving and time.monotonic() > self.began + READY_SECONDS
        return self.process.is_alive() and not is_hung and not is_late

    def ask(self) -> None:
        """Ask for a sign of life, or take the answer; it says whether the worker serves."""
        try:
            if self._asked_at is None:
                self.parent_conn.send(b"ping")
                self._asked_at = time.monotonic()
            elif self.parent_conn.poll():
                self.is_serving = bool(self.parent_conn.recv())
                self._asked_at = None
        except (OSError, EOFError):
            # It is dead, which shows elsewhere.
            self._asked_at = None

    def hand_over(self) -> None:
        """Tell it to end, and to accept no more."""
        self._send(HAND_OVER)
        self.end()

    def end(self) -> None:
        """Tell it to drain; its connections to the parent close."""
        self._ended_at = time.monotonic()
        self.terminate()

    def hurry(self) -> None:
        """Tell it, once it was told to end, to do so at once."""
        self._send(signal.SIGINT)

    def is_gone(self) -> bool:
        """Return whether a worker that was told to end has done so; one that takes too long is killed."""
        if self.process.is_alive() and time.monotonic() < self._ended_at + END_SECONDS:
            return False
        self.bury()
        return True

    @property
    def server(self) -> DrainingServer:
        """What the process runs."""
        if not isinstance(self._server, DrainingServer):
            self._server = DrainingServer(self._config)
        return self._server

    def _send(self, number: signal.Signals) -> None:
        if self.pid is not None and self.process.is_alive():
            os.kill(self.pid, number)

    def bury(self) -> None:
        """Kill what is left of it, and forget its gauges."""
        self.kill()
        self.join()
        if self.pid is not None and FOLDER_VARIABLE in os.environ:
            mark_process_dead(self.pid)  # type: ignore[no-untyped-call]


class Supervisor(Multiprocess):
    """Keeps so many workers serving; SIGHUP replaces one after the other, each when its successor is ready.

    The socket is the parent's: who connects while workers change is served by the next. A worker that does not become
    ready replaces none.
    """

    config: ServerConfig
    processes: list[Worker]  # type: ignore[assignment]

    def __init__(self, config: ServerConfig, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        self._stale: list[Worker] = []
        self._coming: Worker | None = None
        self._leaving: list[Worker] = []
        self._hands_over = False
        self._has_served = self._has_failed = False
        self._pause, self._not_before = 0.0, 0.0

    def run(self) -> None:
        """Serve until told to stop; exits with an error if no worker could begin."""
        while not self.should_exit.wait(TICK_SECONDS):
            self.handle_signals()
            self._look_after_workers()
            self._restart_on()
        self._end_all()
        if self._has_failed:
            sys.exit(STARTUP_FAILURE)

    def handle_hup(self) -> None:
        """Begin to replace all workers; a restart that is under way begins again."""
        self._stale = [*self.processes, *filter(None, [self._coming])]

    def handle_int(self) -> None:
        """End, and accept no more."""
        self._hands_over = True
        self.should_exit.set()

    def handle_ttin(self) -> None:
        """One worker more."""
        self.processes_num += 1

    def handle_ttou(self) -> None:
        """One worker less, but for the last."""
        if self.processes_num > 1:
            self.processes_num -= 1
            if len(self.processes) > self.processes_num:
                self._leave(self.processes[-1])

    def _look_after_workers(self) -> None:
        for worker in list(self.processes):
            worker.ask()
            self._has_served |= worker.is_serving
            if not worker.is_running:
                self.processes.remove(worker)
                self._mourn(worker)
        # At the start all at once; the successor of one that has died after a pause.
        while len(self.processes) < self.processes_num and time.monotonic() >= self._not_before:
            self.processes.append(self._started())

    def _mourn(self, worker: Worker) -> None:
        worker.bury()
        if worker.exitcode == STARTUP_FAILURE and not self._has_served:
            logger.error("worker %s could not start; the service ends", worker.pid)
            self._has_failed = True
            self.should_exit.set()
            self._not_before = float("inf")
            return
        is_steady = worker.is_serving and time.monotonic() > worker.began + STEADY_SECONDS
        self._pause = FIRST_PAUSE if is_steady or not self._pause else min(2 * self._pause, LONGEST_PAUSE)
        self._not_before = time.monotonic() + self._pause
        logger.error("worker %s died (%s); another starts in %g s", worker.pid, worker.exitcode, self._pause)

    def _started(self) -> Worker:
        worker = Worker(self.config, self.sockets)
        worker.start()
        return worker

    def _restart_on(self) -> None:
        """Do the next step of a restart."""
        self._leaving = [worker for worker in self._leaving if not worker.is_gone()]
        self._stale = [worker for worker in self._stale if worker in (*self.processes, self._coming)]
        if self._coming is None:
            if self._stale and not self._leaving:
                self._coming = self._started()
            return
        self._coming.ask()
        if not self._coming.is_running:
            logger.error("worker %s did not become ready; the others stay as they are", self._coming.pid)
            self._coming.bury()
            # Asked anew since it was started: its successor may find what it lacked.
            self._stale = self._stale if self._coming in self._stale else []
            self._coming = None
        elif self._coming.is_serving:
            self.processes.append(self._coming)
            self._coming = None
            if len(self.processes) > self.processes_num:
                self._leave(self._stale[0] if self._stale else self.processes[0])

    def _leave(self, worker: Worker) -> None:
        self.processes.remove(worker)
        worker.hand_over()
        self._leaving.append(worker)

    def _end_all(self) -> None:
        family = [*self.processes, *filter(None, [self._coming])]
        for worker in family:
            worker.hand_over() if self._hands_over else worker.end()
        for each in self.sockets:
            # The last worker to close it takes who waits.
            each.close()
        family += self._leaving
        while family := [worker for worker in family if not worker.is_gone()]:
            time.sleep(TICK_SECONDS)
            if {signal.SIGINT, signal.SIGTERM} & set(self.signal_queue):
                self.signal_queue.clear()
                for worker in family:
                    worker.hurry()
