"""The errors of this package. All of them are :class:`Error`."""

from __future__ import annotations

from typing import Optional


class Error(Exception):
    """The base of all errors of this package."""


class ProtocolError(Error):
    """The server sent what no `logqd` sends, or a reply over the limit. The connection is closed."""


class Unsent(Error, ValueError):
    """A request was not made, because this client refuses its arguments or is closed. Nothing was sent."""


class ConnectionLost(Error, ConnectionError):
    """The connection ended before the reply, or could not be made.

    ``may_be_applied`` is true if the request writes and at least a part of it was sent: the write may have happened.
    It is false if nothing can have happened.
    """

    def __init__(self, message: str, may_be_applied: bool = False) -> None:
        super().__init__(message)
        self.may_be_applied = may_be_applied


class Timeout(ConnectionLost, TimeoutError):
    """The server did not answer within the client's time. The client has closed the connection."""


class PoolExhausted(Error, TimeoutError):
    """All connections of the pool were in use for the whole time. Nothing was sent."""


class ServerError(Error):
    """The server refused a request. Nothing was changed by it.

    ``code`` is the word for programs, ``message`` the text for people. A method that sends several requests raises the
    error of the first one that was refused. Then ``failures`` has the errors of all of them, by the index of the item.
    """

    code = ""

    def __init__(self, message: str, code: Optional[str] = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        self.failures: dict[int, ServerError] = {}

    def __str__(self) -> str:
        return f"{self.code} {self.message}"


class BadRequest(ServerError):
    """The request cannot be read: a bad name, option, number or JSON."""

    code = "BADREQUEST"


class UnknownVerb(ServerError):
    """There is no such verb. The daemon is older than this client."""

    code = "UNKNOWN"


class NoCollection(ServerError):
    """There is no such collection."""

    code = "NOCOLLECTION"


class NoItem(ServerError):
    """``like=`` or ``margin=`` needs an embedding that does not exist, or ``insist=`` more rows than there are."""

    code = "NOITEM"


class Exists(ServerError):
    """There is a collection of that name already."""

    code = "EXISTS"


class WrongDimension(ServerError):
    """The vector has not as many elements as the collection's dimension."""

    code = "DIM"


class BadVector(ServerError):
    """The vector is not finite, or is zero under the metric ``cosine``."""

    code = "BADVECTOR"


class BadID(ServerError):
    """The id is empty, or longer than 255 bytes."""

    code = "BADID"


class BadStep(ServerError):
    """The step is more than 64 before the last one of its run, or far ahead."""

    code = "STEP"


class LimitExceeded(ServerError):
    """The request, its reply or the number of connections is over a limit."""

    code = "LIMIT"


class Busy(ServerError):
    """A queue of the daemon is full. Try again, later and more slowly."""

    code = "BUSY"


class QueryTimeout(ServerError):
    """A search or a draw had no result within its ``timeout_ms``. The connection stays open."""

    code = "TIMEOUT"


class Full(ServerError):
    """There is no room on the disk or in memory. A later write may succeed."""

    code = "FULL"


class ReadOnly(ServerError):
    """The daemon takes no writes."""

    code = "READONLY"


class Draining(ServerError):
    """The daemon is stopping."""

    code = "DRAINING"


class Internal(ServerError):
    """The daemon's storage had an unexpected error. The request was not carried out."""

    code = "INTERNAL"


class TrainerError(Error):
    """What a :class:`logq.Trainer` sent in the background has failed.

    ``errors`` has the first errors, at most 16. ``count`` counts all of them. ``__cause__`` is the first.
    """

    def __init__(self, errors: list[Exception], count: int) -> None:
        super().__init__(f"{count} requests of the trainer failed, the first with: {errors[0]}")
        self.errors = errors
        self.count = count


_CLASSES = {
    error.code: error
    for error in (
        BadRequest,
        UnknownVerb,
        NoCollection,
        NoItem,
        Exists,
        WrongDimension,
        BadVector,
        BadID,
        BadStep,
        LimitExceeded,
        Busy,
        QueryTimeout,
        Full,
        ReadOnly,
        Draining,
        Internal,
    )
}


def server_error(line: bytes) -> ServerError:
    """The error of a reply ``-CODE message``, without the hyphen. An unknown code is a plain :class:`ServerError`."""
    code, _, message = line.decode("utf-8", "replace").partition(" ")
    return _CLASSES.get(code, ServerError)(message, code)
