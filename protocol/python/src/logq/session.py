"""One connection without its socket: which bytes to send, and whose reply the bytes are that arrive."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Optional

from .calls import Request
from .errors import ProtocolError

IN_FLIGHT_BYTES = 4 << 20
"""How many bytes of requests may wait for their replies. One request may be longer."""

_FORM_BYTES = 1 << 20
"""A reply may be this much longer than in the line protocol, where the daemon's limit is measured."""


class Session:
    """The requests of a connection whose replies are missing."""

    def __init__(self, reply_bytes_max: int) -> None:
        self.reply_bytes_max = reply_bytes_max
        self.in_flight_bytes = 0
        self._buffer = bytearray()
        self._position = 0
        self._waiting: deque[Request] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def push(self, request: Request) -> bytes:
        """The bytes to send. Replies come in the order of these calls."""
        self._waiting.append(request)
        self.in_flight_bytes += len(request.payload)
        return request.payload

    def feed(self, data: Any) -> list[Request]:
        """Takes bytes that have arrived. Returns the requests whose replies are now complete."""
        self._buffer += data
        done = []
        while self._waiting:
            request = self._waiting[0]
            after = request.reader.read(self._buffer, self._position)
            if after < 0:
                missing = len(self._buffer) - self._position - self.reply_bytes_max * 2 - _FORM_BYTES
                if missing > 0:
                    raise ProtocolError(f"got a reply of more than {self.reply_bytes_max} bytes")
                break
            self._position = after
            self._waiting.popleft()
            self.in_flight_bytes -= len(request.payload)
            done.append(request)
        if self._position == len(self._buffer):
            self._buffer.clear()
            self._position = 0
        elif not self._waiting:
            raise ProtocolError("got bytes after the last reply")
        elif self._position > 1 << 16:
            del self._buffer[: self._position]
            self._position = 0
        return done


class Exchange:
    """Sends requests one after another, as far as the replies keep up, and collects the results in order."""

    def __init__(self, session: Session, requests: Iterable[Request]) -> None:
        self._session = session
        self._requests: Iterator[Request] = iter(requests)
        self._next: Optional[Request] = next(self._requests, None)
        self.results: list[Any] = []
        self.has_sent = False

    def extend(self, requests: Iterator[Request]) -> None:
        """Sends these requests after the others."""
        self._requests = requests
        self._next = next(requests, None) if self._next is None else self._next

    def output(self) -> Optional[bytes]:
        """The next bytes to send, or None if there are none until more replies arrive."""
        request = self._next
        if request is None:
            return None
        if self._session and self._session.in_flight_bytes + len(request.payload) > IN_FLIGHT_BYTES:
            return None
        self.has_sent = True
        payload = self._session.push(request)
        self._next = next(self._requests, None)
        return payload

    def input(self, data: Any) -> None:
        """Takes bytes that have arrived."""
        self.results += [request.reader.result for request in self._session.feed(data)]

    @property
    def is_done(self) -> bool:
        return self._next is None and not self._session
