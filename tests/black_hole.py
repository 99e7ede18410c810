"""BlackHole: a TCP proxy that can stop to pass anything on, as a network does that loses all packets."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from served import free_port

LOT = 65_536


class BlackHole:
    """Listens on a port and passes on to another, until it swallows everything; what it swallowed is lost."""

    def __init__(self, port: int) -> None:
        self.port = free_port()
        self._to = port
        self._passes = threading.Event()
        self._passes.set()
        self._is_over = False
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        self._passes.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for each in (*self._sockets, self._listener):
            each.close()

    def swallow(self) -> None:
        """Pass nothing on from now on; who connects is not answered."""
        self._passes.clear()

    def heal(self) -> None:
        """Pass on again; connections of which something was swallowed stay dead."""
        self._passes.set()

    def _accept(self) -> None:
        while not self._is_over:
            with suppress(OSError):
                near, _ = self._listener.accept()
                self._passes.wait()
                far = socket.create_connection(("127.0.0.1", self._to))
                pair = [near, far]
                self._sockets += pair
                for source, target in (pair, pair[::-1]):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while lot := source.recv(LOT):
                if not self._passes.is_set():
                    return
                target.sendall(lot)
            target.shutdown(socket.SHUT_WR)
