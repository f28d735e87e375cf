"""The client for asyncio: the verbs of :class:`logq.Client` as coroutines."""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator, Coroutine, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, cast

from .address import DEFAULT_URL
from .calls import Call, Effect, Request
from .client import Options, PipelineVerbs, documented
from .errors import ConnectionLost, Error, PoolExhausted, ProtocolError, Timeout, Unsent
from .results import PopularResult, ScanResult
from .session import Exchange, Session
from .verbs import Verbs, say_hello

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec

    P = ParamSpec("P")

T = TypeVar("T")


class AsyncConnection(asyncio.Protocol):
    """One connection. It belongs to one task at a time."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._session = Session(64 << 20)
        self._exchange: Optional[Exchange] = None
        self._change = asyncio.Event()
        self._is_paused = False
        self._early = b""
        self._failure: Optional[BaseException] = None
        self._transport: Optional[asyncio.Transport] = None
        self.greeting: dict[str, Any] = {}

    @staticmethod
    async def open(options: Options) -> AsyncConnection:
        """Connects and greets."""
        loop = asyncio.get_running_loop()
        address = options.address
        make: Callable[[], AsyncConnection] = lambda: AsyncConnection(options)  # noqa: E731
        opening: Coroutine[Any, Any, tuple[Any, AsyncConnection]]
        if address.path:
            opening = loop.create_unix_connection(make, address.path)
        else:
            opening = loop.create_connection(make, address.host, address.port)
        try:
            _, connection = await asyncio.wait_for(opening, options.connect_timeout)
        except (asyncio.TimeoutError, TimeoutError):
            raise Timeout(f"{address}: no connection within {options.connect_timeout} seconds") from None
        except OSError as error:
            raise ConnectionLost(f"{address}: {error}") from error
        hello = say_hello()
        try:
            exchange = await connection.exchange(hello.requests(), hello.effect, options.connect_timeout)
            connection.greeting = hello.finish(exchange.results)
        except BaseException:
            connection.close()
            raise
        connection._session.reply_bytes_max = int(connection.greeting.get("max-reply-bytes", 64 << 20))
        return connection

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            if self._exchange is not None:
                self._exchange.input(data)
            elif self.greeting:
                raise ProtocolError("got bytes after the last reply")
            else:
                # The daemon refuses the connection before it was asked for anything.
                self._early += data
        except Error as error:
            self._fail(error)
        self._change.set()

    def connection_lost(self, error: Optional[Exception]) -> None:
        self._fail(error or ConnectionResetError("the daemon has closed the connection"))

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._change.set()

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._change.set()
        self.close()

    # What a task calls

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def is_fresh(self) -> bool:
        """Whether an idle connection is still open. The loop may not have seen its end yet."""
        if self._transport is None or self._transport.is_closing():
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket"), select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def exchange(
        self, requests: Iterable[Request], effect: Effect, timeout: float, exchange: Optional[Exchange] = None
    ) -> Exchange:
        """Sends all requests and reads all replies, as :meth:`logq.client.Connection.exchange` does."""
        current = Exchange(self._session, requests) if exchange is None else exchange
        self._exchange = current
        try:
            await self._transfer(current, timeout)
        except BaseException as error:
            # Replies of these requests may still come: no other task may get them.
            self.close()
            may_be_applied = effect is not Effect.READ and current.has_sent
            where = self._options.address
            if isinstance(error, (asyncio.TimeoutError, TimeoutError)):
                raise Timeout(f"{where}: no reply within {timeout} seconds", may_be_applied) from None
            if isinstance(error, OSError):
                raise ConnectionLost(f"{where}: {error}", may_be_applied) from error
            raise
        finally:
            self._exchange = None
        return current

    async def _transfer(self, exchange: Exchange, timeout: float) -> None:
        transport = self._transport
        while not exchange.is_done:
            self._change.clear()
            if self._failure is not None and not self._early:
                raise self._failure
            if transport is None:
                raise ConnectionResetError("the connection is closed")
            while not self._is_paused:
                payload = exchange.output()
                if payload is None:
                    break
                transport.write(payload)
            if self._early:
                early, self._early = self._early, b""
                exchange.input(early)
                continue
            await asyncio.wait_for(self._change.wait(), timeout)


class AsyncPool:
    """Connections that tasks share. It makes at most ``max_connections``."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._idle: list[AsyncConnection] = []
        self._places: Optional[asyncio.Semaphore] = None
        self._is_closed = False

    async def use(self, task: Callable[[AsyncConnection], Coroutine[Any, Any, T]]) -> T:
        """Runs a task with a connection of its own."""
        if self._is_closed:
            raise Unsent("the client is closed")
        if self._places is None:
            # Made here, because it belongs to the running loop in old versions of Python.
            self._places = asyncio.Semaphore(self._options.max_connections)
        places = self._places
        try:
            await asyncio.wait_for(places.acquire(), self._options.request_timeout)
        except (asyncio.TimeoutError, TimeoutError):
            raise PoolExhausted(f"all {self._options.max_connections} connections are in use") from None
        try:
            connection = self._take_idle() or await AsyncConnection.open(self._options)
            try:
                return await task(connection)
            finally:
                if connection.is_open and not self._is_closed:
                    self._idle.append(connection)
                else:
                    connection.close()
        finally:
            places.release()

    def _take_idle(self) -> Optional[AsyncConnection]:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_fresh():
                return connection
            connection.close()
        return None

    def close(self) -> None:
        self._is_closed = True
        for idle in self._idle:
            idle.close()
        self._idle.clear()


def _method(
    verb: Callable[Concatenate[Verbs, P], Call[T]],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    """The coroutine of :class:`AsyncClient` that carries out the call of a verb."""

    async def method(self: AsyncClient, /, *args: P.args, **options: P.kwargs) -> T:
        await self._prepare()
        return await self._carry_out(verb(self._verbs, *args, **options))

    documented(method, verb, "{}")
    return method


class AsyncClient:
    """The same as :class:`logq.Client` for the tasks of one event loop. A task that is cancelled closes its connection.

    Open it with ``async with``, or call :meth:`close` in the end.
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
        self._pool = AsyncPool(self.options)
        self._is_prepared = False

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the idle connections at once, and those in use after their call. Later calls are :class:`Unsent`."""
        self._pool.close()
        # The transports close in the next turn of the loop.
        await asyncio.sleep(0)

    def pipeline(self, raise_errors: bool = True) -> AsyncPipeline:
        """Collects calls and sends them together: ``async with client.pipeline() as p: p.get(...)``."""
        return AsyncPipeline(self, raise_errors)

    async def _prepare(self) -> None:
        """Learns the limits of the daemon before the first request is written."""
        if self._is_prepared:
            return

        async def use(connection: AsyncConnection) -> None:
            self._verbs.limits.update(connection.greeting)

        await self._repeating(Effect.READ, use)
        self._is_prepared = True

    async def _repeating(self, effect: Effect, task: Callable[[AsyncConnection], Coroutine[Any, Any, T]]) -> T:
        attempt = 0
        while True:
            try:
                return await self._pool.use(task)
            except ConnectionLost as error:
                pause = self.options.pause_before_repeating(effect, error, attempt)
                if pause is None:
                    raise
            attempt += 1
            await asyncio.sleep(pause)

    async def _carry_out(self, call: Call[T]) -> T:
        async def use(connection: AsyncConnection) -> Exchange:
            return await connection.exchange(call.requests(), call.effect, self.options.request_timeout)

        exchange = await self._repeating(call.effect, use)
        return call.finish(exchange.results)

    async def scan_all(self, collection: str, limit: int = 16_384) -> AsyncIterator[ScanResult]:
        """All pages of :meth:`scan`."""
        after: Optional[int] = None
        while True:
            page = await self.scan(collection, after=after, limit=limit)
            if len(page.rows):
                yield page
            if len(page.rows) < limit:
                return
            after = int(page.rows[-1])

    async def popular_all(self, collection: str, n: int = 16_384) -> AsyncIterator[PopularResult]:
        """All pages of :meth:`popular`."""
        after: Optional[tuple[bytes, float, Optional[int]]] = None
        while True:
            page = await self.popular(collection, n, after=after)
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


class AsyncPipeline(PipelineVerbs):
    """Collects calls, and sends all of them when its ``async with`` block ends. See :class:`logq.client.Pipeline`."""

    def __init__(self, client: AsyncClient, raise_errors: bool) -> None:
        super().__init__(client._verbs, raise_errors)
        self._client = client

    async def __aenter__(self) -> AsyncPipeline:
        await self._client._prepare()
        return self

    async def __aexit__(
        self, kind: Optional[type[BaseException]], error: object, trace: Optional[TracebackType]
    ) -> None:
        if kind is None and self._pending:
            await self._send()

    async def _send(self) -> None:
        made: list[Exchange] = []
        timeout = self._client.options.request_timeout

        async def use(connection: AsyncConnection) -> None:
            made.append(Exchange(connection._session, self._requests()))
            await connection.exchange((), self._effect, timeout, made[-1])

        failure: Optional[Error] = None
        try:
            await self._client._repeating(self._effect, use)
        except (ConnectionLost, ProtocolError, PoolExhausted, Unsent) as error:
            failure = error
        self._finish(made[-1] if made else None, failure)
