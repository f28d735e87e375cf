"""The client for threads: a pool of connections, and the verbs as methods."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import select
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Generic, Optional, TypeVar, cast

from .address import DEFAULT_URL, Address
from .calls import Call, Effect, Request
from .errors import ConnectionLost, Error, PoolExhausted, ProtocolError, Timeout, Unsent
from .results import PopularResult, ScanResult
from .session import Exchange, Session
from .verbs import Verbs, say_hello

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec

    P = ParamSpec("P")

T = TypeVar("T")

RECEIVE_BYTES = 1 << 18


class Options:
    """What both clients can be told. Times are in seconds."""

    def __init__(
        self,
        url: str,
        connect_timeout: float,
        request_timeout: float,
        max_connections: int,
        read_retries: int,
        repeat_writes: bool,
    ) -> None:
        if connect_timeout <= 0 or request_timeout <= 0 or max_connections < 1 or read_retries < 0:
            raise Unsent("got a timeout or a number that is not above 0")
        self.address = Address.parse(url)
        self.connect_timeout = connect_timeout
        self.request_timeout = request_timeout
        self.max_connections = max_connections
        self.read_retries = read_retries
        self.repeat_writes = repeat_writes

    def pause_before_repeating(self, effect: Effect, error: ConnectionLost, attempt: int) -> Optional[float]:
        """How long to wait before the request is repeated, None if it must not be.

        A write is repeated only if it was not sent, or if the user has asked for it and the protocol allows it. A
        request that had its full time is not repeated, because that would multiply the time.
        """
        is_safe = effect is Effect.READ or not error.may_be_applied
        is_asked = self.repeat_writes and effect is Effect.REPEATABLE
        if isinstance(error, Timeout) or attempt >= self.read_retries or not (is_safe or is_asked):
            return None
        return float(0.05 * 2**attempt)


class Connection:
    """One connection. It belongs to one thread at a time."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.greeting: dict[str, Any] = {}
        self._socket = self._connect(options.address, options.connect_timeout)
        self._session = Session(64 << 20)
        self._scratch = bytearray(RECEIVE_BYTES)
        self._view = memoryview(self._scratch)
        self._poll = select.poll()
        self.is_open = True
        hello = say_hello()
        try:
            exchange = self.exchange(hello.requests(), hello.effect, options.connect_timeout)
            self.greeting = hello.finish(exchange.results)
        except BaseException:
            self.close()
            raise
        self._session.reply_bytes_max = int(self.greeting.get("max-reply-bytes", 64 << 20))

    @staticmethod
    def _connect(address: Address, timeout: float) -> socket.socket:
        try:
            if address.path:
                made = socket.socket(socket.AF_UNIX)
                made.settimeout(timeout)
                try:
                    made.connect(address.path)
                except BaseException:
                    made.close()
                    raise
            else:
                made = socket.create_connection((address.host, address.port), timeout)
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except socket.timeout:
            raise Timeout(f"{address}: no connection within {timeout} seconds") from None
        except OSError as error:
            raise ConnectionLost(f"{address}: {error}") from error
        made.setblocking(False)
        return made

    def close(self) -> None:
        self.is_open = False
        self._socket.close()

    def is_fresh(self) -> bool:
        """Whether an idle connection is still open: it must not have anything to read, not even its end."""
        self._poll.register(self._socket, select.POLLIN)
        return not self._poll.poll(0)

    def exchange(
        self, requests: Iterable[Request], effect: Effect, timeout: float, exchange: Optional[Exchange] = None
    ) -> Exchange:
        """Sends all requests and reads all replies. It reads while it sends, so that neither side waits forever.

        ``timeout`` is the longest time without any progress.
        """
        current = Exchange(self._session, requests) if exchange is None else exchange
        try:
            self._transfer(current, timeout)
        except BaseException as error:
            # Replies of these requests may still come: nobody else may get them.
            self.close()
            may_be_applied = effect is not Effect.READ and current.has_sent
            where = self._options.address
            if isinstance(error, (socket.timeout, TimeoutError)):
                raise Timeout(f"{where}: no reply within {timeout} seconds", may_be_applied) from None
            if isinstance(error, OSError):
                raise ConnectionLost(f"{where}: {error}", may_be_applied) from error
            raise
        return current

    def _transfer(self, exchange: Exchange, timeout: float) -> None:
        wire = self._socket
        output = memoryview(b"")
        events = 0
        while True:
            if not output:
                output = memoryview(exchange.output() or b"")
            if output:
                try:
                    output = output[wire.send(output) :]
                    if not output:
                        continue
                except BlockingIOError:
                    pass
                except OSError:
                    # The daemon may have said why it closed the connection.
                    self._receive(exchange)
                    if not exchange.is_done:
                        raise
                    return
            elif exchange.is_done:
                return
            wanted = select.POLLIN | select.POLLOUT if output else select.POLLIN
            if wanted != events:
                self._poll.register(wire, wanted)
                events = wanted
            ready = self._poll.poll(timeout * 1000)
            if not ready:
                raise TimeoutError
            if ready[0][1] & ~select.POLLOUT:
                self._receive(exchange)

    def _receive(self, exchange: Exchange) -> None:
        try:
            count = self._socket.recv_into(self._scratch)
        except BlockingIOError:
            return
        if not count:
            raise ConnectionResetError("the daemon has closed the connection")
        exchange.input(self._view[:count])


class Pool:
    """Connections that threads share. It makes at most ``max_connections``."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._reset()

    def _reset(self) -> None:
        self._process = os.getpid()
        self._change = threading.Condition()
        self._idle: list[Connection] = []
        self._count = 0
        self._is_closed = False

    @contextlib.contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection for this thread alone, until the end of the block."""
        if os.getpid() != self._process:
            # After a fork, the sockets belong to the parent.
            self._reset()
        taken = self._take()
        try:
            yield taken
        finally:
            self._give(taken)

    def _take(self) -> Connection:
        deadline = time.monotonic() + self._options.request_timeout
        with self._change:
            while True:
                if self._is_closed:
                    raise Unsent("the client is closed")
                while self._idle:
                    idle = self._idle.pop()
                    if idle.is_fresh():
                        return idle
                    idle.close()
                    self._count -= 1
                if self._count < self._options.max_connections:
                    self._count += 1
                    break
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise PoolExhausted(f"all {self._count} connections are in use")
                self._change.wait(remaining)
        try:
            return Connection(self._options)
        except BaseException:
            with self._change:
                self._count -= 1
                self._change.notify()
            raise

    def _give(self, taken: Connection) -> None:
        with self._change:
            if taken.is_open and not self._is_closed:
                self._idle.append(taken)
            else:
                taken.close()
                self._count -= 1
            self._change.notify()

    def close(self) -> None:
        with self._change:
            self._is_closed = True
            for idle in self._idle:
                idle.close()
                self._count -= 1
            self._idle.clear()
            self._change.notify_all()


def documented(method: Callable[..., Any], verb: Callable[..., Any], result: str) -> None:
    """Gives a method the documentation of its verb, with the type of its own result."""
    functools.update_wrapper(method, verb)
    returned = str(verb.__annotations__["return"]).partition("[")[2][:-1]
    method.__annotations__ = {**verb.__annotations__, "return": result.format(returned)}
    signature = inspect.signature(verb)
    method.__signature__ = signature.replace(return_annotation=result.format(returned))  # type: ignore[attr-defined]


def _method(verb: Callable[Concatenate[Verbs, P], Call[T]]) -> Callable[Concatenate[Client, P], T]:
    """The method of :class:`Client` that carries out the call of a verb."""

    def method(self: Client, /, *args: P.args, **options: P.kwargs) -> T:
        self._prepare()
        return self._carry_out(verb(self._verbs, *args, **options))

    documented(method, verb, "{}")
    return method


def _queued(verb: Callable[Concatenate[Verbs, P], Call[T]]) -> Callable[Concatenate[PipelineVerbs, P], Pending[T]]:
    """The method of a pipeline that queues the call of a verb."""

    def method(self: PipelineVerbs, /, *args: P.args, **options: P.kwargs) -> Pending[T]:
        return self._queue(verb(self._verbs, *args, **options))

    documented(method, verb, "Pending[{}]")
    return method


class Client:
    """A client of a daemon. Threads may share it, because each call takes a connection of its own from a pool.

    - ``url``: ``logq://host:port`` or ``logq+unix:///path``.
    - ``connect_timeout``: seconds to connect and greet. ``request_timeout``: seconds without any reply or progress.
    - ``max_connections``: of the pool. A call that finds all in use waits, then raises :class:`PoolExhausted`.
    - ``read_retries``: how often a request that changes nothing is repeated on a new connection, if the first ends.
    - ``repeat_writes``: also repeat the writes that the protocol calls safe. By default, no write is repeated.
    - ``decode_ids``: ids in replies are ``bytes``, ``str`` (UTF-8) or ``int`` (int64 arrays).

    A connection is made by the first call. Every method raises :class:`ServerError` or one of its classes if the daemon
    refuses, :class:`ConnectionLost` if the connection ends, :class:`Timeout`, and :class:`Unsent` for bad arguments.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        connect_timeout: float = 5.0,
        request_timeout: float = 30.0,
        max_connections: int = 8,
        read_retries: int = 2,
        repeat_writes: bool = False,
        decode_ids: str = "bytes",
    ) -> None:
        self.options = Options(url, connect_timeout, request_timeout, max_connections, read_retries, repeat_writes)
        self._verbs = Verbs(decode_ids)
        self._pool = Pool(self.options)
        self._is_prepared = False

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the idle connections at once, and those in use after their call. Later calls are :class:`Unsent`."""
        self._pool.close()

    def pipeline(self, raise_errors: bool = True) -> Pipeline:
        """Collects calls and sends them together: ``with client.pipeline() as p: p.get(...)``."""
        return Pipeline(self, raise_errors)

    def _prepare(self) -> None:
        """Learns the limits of the daemon before the first request is written."""
        if self._is_prepared:
            return
        self._repeating(Effect.READ, lambda connection: self._verbs.limits.update(connection.greeting))
        self._is_prepared = True

    def _repeating(self, effect: Effect, use: Callable[[Connection], T]) -> T:
        attempt = 0
        while True:
            try:
                with self._pool.connection() as connection:
                    return use(connection)
            except ConnectionLost as error:
                pause = self.options.pause_before_repeating(effect, error, attempt)
                if pause is None:
                    raise
            attempt += 1
            time.sleep(pause)

    def _carry_out(self, call: Call[T]) -> T:
        timeout = self.options.request_timeout
        exchange = self._repeating(
            call.effect, lambda connection: connection.exchange(call.requests(), call.effect, timeout)
        )
        return call.finish(exchange.results)

    def scan_all(self, collection: str, limit: int = 16_384) -> Iterator[ScanResult]:
        """All pages of :meth:`scan`."""
        after: Optional[int] = None
        while True:
            page = self.scan(collection, after=after, limit=limit)
            if len(page.rows):
                yield page
            if len(page.rows) < limit:
                return
            after = int(page.rows[-1])

    def popular_all(self, collection: str, n: int = 16_384) -> Iterator[PopularResult]:
        """All pages of :meth:`popular`."""
        after: Optional[tuple[bytes, float, Optional[int]]] = None
        while True:
            page = self.popular(collection, n, after=after)
            if len(page.counts):
                yield page
            if len(page.counts) < n:
                return
            after = page.after

    ping = _method(Verbs.ping)
    hello = _method(Verbs.hello)
    help = _method(Verbs.help)
    info = _method(Verbs.info)
    create = _method(Verbs.create)
    drop = _method(Verbs.drop)
    swap = _method(Verbs.swap)
    collections = _method(Verbs.collections)
    put = _method(Verbs.put)
    get = _method(Verbs.get)
    delete = _method(Verbs.delete)
    scan = _method(Verbs.scan)
    fset = _method(Verbs.fset)
    fget = _method(Verbs.fget)
    observe = _method(Verbs.observe)
    observe_log_q = _method(Verbs.observe_log_q)
    freqset = _method(Verbs.freqset)
    clock = _method(Verbs.clock)
    clockset = _method(Verbs.clockset)
    log_q = _method(Verbs.log_q)
    freq = _method(Verbs.freq)
    popular = _method(Verbs.popular)
    topk = _method(Verbs.topk)
    topk_many = _method(Verbs.topk_many)
    score = _method(Verbs.score)
    sample = _method(Verbs.sample)


class Pending(Generic[T]):
    """The result of a call in a pipeline. It is there when the ``with`` block has ended."""

    def __init__(self, call: Call[T]) -> None:
        self.call = call
        self.error: Optional[Error] = Unsent("the pipeline has not been sent")
        self._value: Optional[T] = None

    def result(self) -> T:
        """The result, or the error of this call."""
        if self.error is not None:
            raise self.error
        return cast(T, self._value)

    def complete(self, results: list[Any]) -> None:
        """Takes what the readers of the call have read."""
        try:
            self._value = self.call.finish(results)
            self.error = None
        except Error as error:
            self.error = error


class PipelineVerbs:
    """The verbs of a pipeline. Each returns a :class:`Pending`."""

    def __init__(self, verbs: Verbs, raise_errors: bool) -> None:
        self._verbs = verbs
        self._raise_errors = raise_errors
        self._pending: list[Pending[Any]] = []
        self._counts: list[int] = []

    def _queue(self, call: Call[T]) -> Pending[T]:
        pending = Pending(call)
        self._pending.append(pending)
        return pending

    @property
    def results(self) -> list[Any]:
        """The results in the order of the calls. In the place of one that failed is its error."""
        return [pending.result() if pending.error is None else pending.error for pending in self._pending]

    @property
    def _effect(self) -> Effect:
        """A pipeline is repeated only if each of its requests may be."""
        effects = {pending.call.effect for pending in self._pending}
        for effect in (Effect.ONCE, Effect.REPEATABLE):
            if effect in effects:
                return effect
        return Effect.READ

    def _requests(self) -> Iterator[Request]:
        self._counts = []
        for pending in self._pending:
            self._counts.append(0)
            for request in pending.call.requests():
                self._counts[-1] += 1
                yield request

    def _finish(self, exchange: Optional[Exchange], error: Optional[Error]) -> None:
        """Gives each call its results. A call without all of its replies gets the error."""
        results = exchange.results if exchange is not None else []
        start = 0
        for index, pending in enumerate(self._pending):
            # The last call whose requests were made may have more of them.
            is_whole = error is None or index + 1 < len(self._counts)
            end = start + self._counts[index] if is_whole else len(results) + 1
            if end <= len(results):
                pending.complete(results[start:end])
            else:
                pending.error = error
            start = end
        if self._raise_errors:
            for pending in self._pending:
                pending.result()

    ping = _queued(Verbs.ping)
    hello = _queued(Verbs.hello)
    help = _queued(Verbs.help)
    info = _queued(Verbs.info)
    create = _queued(Verbs.create)
    drop = _queued(Verbs.drop)
    swap = _queued(Verbs.swap)
    collections = _queued(Verbs.collections)
    put = _queued(Verbs.put)
    get = _queued(Verbs.get)
    delete = _queued(Verbs.delete)
    scan = _queued(Verbs.scan)
    fset = _queued(Verbs.fset)
    fget = _queued(Verbs.fget)
    observe = _queued(Verbs.observe)
    observe_log_q = _queued(Verbs.observe_log_q)
    freqset = _queued(Verbs.freqset)
    clock = _queued(Verbs.clock)
    clockset = _queued(Verbs.clockset)
    log_q = _queued(Verbs.log_q)
    freq = _queued(Verbs.freq)
    popular = _queued(Verbs.popular)
    topk = _queued(Verbs.topk)
    topk_many = _queued(Verbs.topk_many)
    score = _queued(Verbs.score)
    sample = _queued(Verbs.sample)


class Pipeline(PipelineVerbs):
    """Collects calls, and sends all of them when its ``with`` block ends.

    Every call is carried out, whether others fail or not. Then the first error is raised, unless ``raise_errors`` is
    false. ``results`` has all results in order, with an error in the place of each call that failed.
    """

    def __init__(self, client: Client, raise_errors: bool) -> None:
        super().__init__(client._verbs, raise_errors)
        self._client = client

    def __enter__(self) -> Pipeline:
        self._client._prepare()
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: object, trace: Optional[TracebackType]) -> None:
        if kind is None and self._pending:
            self._send()

    def _send(self) -> None:
        made: list[Exchange] = []
        timeout = self._client.options.request_timeout

        def use(connection: Connection) -> None:
            made.append(Exchange(connection._session, self._requests()))
            connection.exchange((), self._effect, timeout, made[-1])

        failure: Optional[Error] = None
        try:
            self._client._repeating(self._effect, use)
        except (ConnectionLost, ProtocolError, PoolExhausted, Unsent) as error:
            failure = error
        self._finish(made[-1] if made else None, failure)
