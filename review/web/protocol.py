"""Silent connections are closed, and one address cannot use all connections."""

import asyncio
from collections import Counter
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
MOST_OF_AN_ADDRESS = 128
MOST_AT_ALL = 600


def limited_protocol(
    *, header_seconds: float = HEADER_SECONDS, most: int | None = MOST_OF_AN_ADDRESS, most_at_all: int = MOST_AT_ALL
) -> type[asyncio.Protocol]:
    """uvicorn's protocol with limits.

    A connection that has not sent the whole head of a request ``header_seconds`` after it was opened, or after the
    head was begun, is closed. More than ``most`` connections of one address (None: a proxy stands before us and
    counts them) and more than ``most_at_all`` are closed at once.
    """
    open_now: Counter[str] = Counter()

    class Limited(H11Protocol):
        _address = ""
        _limit: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            peer: Any = transport.get_extra_info("peername")
            address = str(peer[0]) if peer else "local"
            if open_now.total() >= most_at_all or (most is not None and open_now[address] >= most):
                transport.abort()
                return
            self._address = address
            open_now[address] += 1
            super().connection_made(transport)
            self._wait_for_head()

        def data_received(self, data: bytes) -> None:
            if not self._address:
                return
            if self._limit is None and not self._is_answering():
                self._wait_for_head()
            super().data_received(data)
            if self._limit is not None and self._is_answering():
                self._stop_waiting()

        def connection_lost(self, exc: Exception | None) -> None:
            if not self._address:
                return
            self._stop_waiting()
            open_now[self._address] -= 1
            if not open_now[self._address]:
                del open_now[self._address]
            super().connection_lost(exc)

        def _is_answering(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _wait_for_head(self) -> None:
            self._limit = self.loop.call_later(header_seconds, self._give_up)

        def _stop_waiting(self) -> None:
            if self._limit is not None:
                self._limit.cancel()
                self._limit = None

        def _give_up(self) -> None:
            self._limit = None
            if not self._is_answering():
                self.transport.close()

    return Limited
