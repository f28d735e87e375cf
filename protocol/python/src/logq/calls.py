"""What a transport has to do for one call of a verb: the requests to send, the readers of their replies, the result."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from typing import Any, Callable, Generic, Optional, TypeVar

from .errors import ServerError
from .resp import Reader

T = TypeVar("T")


class Effect(enum.Enum):
    """What happens if a request is carried out twice."""

    READ = "read"
    """Nothing is changed, so it may be repeated."""
    REPEATABLE = "repeatable"
    """The same state follows, unless something else was written in between."""
    ONCE = "once"
    """It must not be repeated."""


class Request:
    """Bytes to send, and the reader of the replies. ``count`` requests may travel as one."""

    __slots__ = ("count", "payload", "reader")

    def __init__(self, payload: bytes, reader: Reader, count: int = 1) -> None:
        self.payload = payload
        self.reader = reader
        self.count = count


class Call(Generic[T]):
    """A call of a verb."""

    def __init__(
        self,
        requests: Callable[[], Iterator[Request]],
        finish: Callable[[list[Any]], T],
        effect: Effect,
    ) -> None:
        self._requests = requests
        self._finish = finish
        self.effect = effect

    def requests(self) -> Iterator[Request]:
        """The requests with new readers. Each repetition needs new ones. Large calls make them one after another."""
        return self._requests()

    def finish(self, results: list[Any]) -> T:
        """The result from those of the readers. Raises the first error of the server."""
        for result in results:
            if isinstance(result, ServerError):
                raise result
        return self._finish(results)


def one(
    head: Sequence[bytes],
    tail: Sequence[bytes],
    reader: Callable[[], Reader],
    finish: Callable[[Any], T],
    effect: Effect = Effect.READ,
    payload: Optional[bytes] = None,
) -> Call[T]:
    """A call of one request."""
    from .resp import request

    sent = request(head, tail) if payload is None else payload
    return Call(lambda: iter((Request(sent, reader()),)), lambda results: finish(results[0]), effect)
