"""What a trainer needs: a stream of embeddings and batches in the background, log q, and negatives."""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Callable, Optional, TypeVar, Union

import numpy as np
from numpy.typing import DTypeLike

from .arrays import IDs, as_vectors, convert, encode_ids
from .calls import Call, Effect, Request
from .client import Client, Connection
from .errors import Busy, ConnectionLost, Draining, Error, ServerError, TrainerError, Unsent
from .resp import Acknowledgements, Reader
from .results import LogQResult, SampleResult, TopKResult
from .session import Exchange

T = TypeVar("T")

PRODUCERS = 8
"""How many observations may be under way. Each needs a producer of its own, so that each can be sent again alone."""

_ERRORS_KEPT = 16
_PAUSE_SECONDS_MIN = 0.02
# Short, because the steps of workers must stay within 64 of each other after the daemon is back.
_PAUSE_SECONDS_MAX = 0.25


@dataclass
class TrainerStats:
    """What a trainer has done so far."""

    embeddings: int = 0
    """Embeddings that the daemon has acknowledged. They are durable."""
    observations: int = 0
    """Batches that the daemon has acknowledged. Each is counted once."""
    observed_ids: int = 0
    """The ids in these batches."""
    skipped_ids: int = 0
    """Those of them that were not counted, because there was no room and ``full="skip"``."""
    repeated: int = 0
    """Requests that were sent again, because the connection ended or the daemon was busy."""
    connections: int = 0
    """Connections that were made."""
    failures: int = 0
    """Requests that were refused or given up. The next call raises them."""
    queued_bytes: int = 0
    """Bytes that wait to be acknowledged."""


class _Job:
    """One request, or the requests for several items, until it is acknowledged."""

    def __init__(self, payload: bytes, count: int) -> None:
        self.payload = payload
        self.count = count
        self.bytes = len(payload)
        self.was_sent = False

    def request(self) -> Request:
        return Request(self.payload, Acknowledgements(self.count), self.count)


class _Observation(_Job):
    """A batch. It gets its producer and number when it is first sent, and keeps them when it is sent again."""

    def __init__(self, make: Callable[[tuple[str, int]], Call[Any]], ids: list[bytes]) -> None:
        super().__init__(b"", len(ids))
        self._make = make
        self.bytes = sum(map(len, ids)) + 8 * len(ids)
        self.lane: Optional[int] = None

    def assign(self, lane: int, sequence: tuple[str, int]) -> None:
        self.lane = lane
        (request,) = self._make(sequence).requests()
        self.payload = request.payload

    def request(self) -> Request:
        return Request(self.payload, Reader())


class Trainer:
    """Streams the embeddings and batches of a trainer to one collection, and draws its negatives.

    :meth:`put` and :meth:`observe` only queue. A thread sends what is queued, over a connection of its own. After a
    lost connection or ``BUSY`` it sends again what was not acknowledged. Batches carry ``seq=``, so each is counted
    exactly once, also if the daemon is killed and started again. If anything fails for good, the next call raises
    :class:`TrainerError`.

    - ``client``: a :class:`Client`, or the URL of the daemon.
    - ``run``: the name of this start of the trainer. It must be new at each start, and the same for all its workers.
      The default is random, for a trainer of one worker.
    - ``producer``: the name of this worker, no other worker of the run has it. The default is random. A worker uses up
      to nine of the 1,024 producers that a collection remembers: this name with ``-0`` to ``-7`` and ``-now``.
    - ``queue_bytes``: how much may be queued. A call that finds the queue full waits.
    - ``patience``: for how many seconds to go on trying while the daemon is away, or busy.
    - ``full="skip"``: do not count new ids if there is no room for them.

    Use it with ``with``, or call :meth:`close`: otherwise what is queued at the end is lost. Threads may share it.

    A daemon that stalls for longer than the client's ``request_timeout`` may later apply an embedding of the old
    connection after a newer one of the same id. So choose a long ``request_timeout``.
    """

    def __init__(
        self,
        client: Union[Client, str],
        collection: str,
        *,
        run: Optional[str] = None,
        producer: Optional[str] = None,
        queue_bytes: int = 64 << 20,
        patience: float = 60.0,
        full: Optional[str] = None,
    ) -> None:
        if queue_bytes < 1 or patience < 0:
            raise Unsent("got queue_bytes or patience that is not above 0")
        self._owns_client = isinstance(client, str)
        self.client = Client(client) if isinstance(client, str) else client
        self.collection = collection
        self.run = run or f"run-{uuid.uuid4().hex[:12]}"
        self.producer = producer or uuid.uuid4().hex[:12]
        self._full = full
        self._queue_bytes_max = queue_bytes
        self._patience = patience
        self._verbs = self.client._verbs

        self._change = threading.Condition()
        self._queue: deque[_Job] = deque()
        self._stats = TrainerStats()
        self._errors: list[Exception] = []
        self._failures = 0
        self._outstanding = 0
        self._outstanding_batches = 0
        self._completed = 0
        self._is_closing = False

        # These belong to the thread.
        self._numbers = [0] * PRODUCERS
        self._free_lanes = list(range(PRODUCERS))
        self._sent: deque[_Job] = deque()
        self._again: list[_Job] = []
        self._must_repeat_puts = False

        self._direct_lock = threading.Lock()
        self._direct_number = 0
        self._thread = threading.Thread(target=self._work, name="logq.Trainer", daemon=True)
        self._thread.start()

    def __enter__(self) -> Trainer:
        return self

    def __exit__(self, kind: Optional[type[BaseException]], *_: object) -> None:
        # After an exception, what is queued is still sent, but its errors must not hide that exception.
        self.close(raise_errors=kind is None)

    # Streaming

    def put(self, ids: IDs, vectors: Any, features: Any = None) -> None:
        """Queues embeddings: float32 [n, dim] for n ids. They are encoded before the method returns.

        Waits while the queue is full. Raises :class:`TrainerError` for what failed before.

        Cost: less than a microsecond for an item of 64 numbers.
        """
        self._raise_errors()
        for request in self._verbs.put(self.collection, ids, vectors, features).requests():
            self._enqueue(_Job(request.payload, request.count))

    def observe(self, ids: IDs, step: Optional[int]) -> None:
        """Queues the ids of the batch of this step; None is the collection's last step + 1.

        Waits while the queue is full. Raises :class:`TrainerError` for what failed before.
        """
        self._raise_errors()
        encoded = encode_ids(ids)
        if not encoded:
            raise Unsent("got no ids, expected at least one")

        def make(sequence: tuple[str, int]) -> Call[Any]:
            return self._verbs.observe(self.collection, step, encoded, seq=sequence, run=self.run, full=self._full)

        self._enqueue(_Observation(make, encoded))

    def flush(self, timeout: Optional[float] = None) -> None:
        """Waits until everything that was queued is acknowledged: durable, and seen by everybody.

        Raises :class:`TrainerError` for what failed. Raises ``TimeoutError`` after ``timeout`` seconds.
        """
        with self._change:
            if not self._change.wait_for(lambda: not self._outstanding, timeout):
                raise TimeoutError(f"{self._outstanding} requests are not acknowledged after {timeout} seconds")
        self._raise_errors()

    def close(self, raise_errors: bool = True) -> None:
        """Sends what is queued, and ends the thread. Raises :class:`TrainerError` for what failed."""
        with self._change:
            self._is_closing = True
            self._change.notify_all()
        self._thread.join()
        if self._owns_client:
            self.client.close()
        if raise_errors:
            self._raise_errors()

    @property
    def stats(self) -> TrainerStats:
        """A copy of the statistics."""
        with self._change:
            return replace(self._stats)

    # One round trip

    def log_q(
        self,
        ids: IDs,
        step: Optional[int],
        *,
        unit: Optional[str] = None,
        batch: Optional[int] = None,
        strength: Optional[float] = None,
        dtype: DTypeLike = np.float32,
        like: Any = None,
    ) -> Any:
        """Counts the batch of this step, and returns its log q right after it, in one round trip: float32 [n].

        Subtract it from every column of the logits, after they are divided by the temperature. Use this in place of
        :meth:`observe`. ``like``: a tensor whose library and device the result has.

        It waits for queued batches, because steps have to stay in order, but not for queued embeddings. It is sent
        again as :meth:`observe` is, so it is counted once.
        """
        self._raise_errors()
        encoded = encode_ids(ids)
        with self._direct_lock:
            with self._change:
                # While the daemon was away, the thread may still wait before it connects again.
                self._change.wait_for(lambda: not self._outstanding_batches)
            self._direct_number += 1
            result: LogQResult = self._insist(
                lambda: self.client.observe_log_q(
                    self.collection,
                    step,
                    encoded,
                    seq=(f"{self.producer}-now", self._direct_number),
                    run=self.run,
                    full=self._full,
                    unit=unit,
                    batch=batch,
                    strength=strength,
                )
            )
        with self._change:
            self._stats.observations += 1
            self._stats.observed_ids += len(encoded)
            if self._full == "skip":
                self._stats.skipped_ids += int((result.states == "unseen").sum())
        values = result.log_q.astype(dtype, copy=False)
        return values if like is None else convert(values, like)

    def negatives(self, n: int, **options: Any) -> SampleResult:
        """Draws ``n`` negatives with their probabilities: the options and the result of :meth:`Client.sample`."""
        self._raise_errors()
        return self.client.sample(self.collection, n, **options)

    def hard_negatives(
        self,
        queries: Any,
        n: int,
        *,
        positives: Optional[Sequence[IDs]] = None,
        range_min: int = 1,
        range_max: Optional[int] = None,
        margin: Optional[float] = None,
        strategy: Optional[str] = "random",
        columns: Union[str, Sequence[str]] = ("rank", "vector", "log_q"),
        **options: Any,
    ) -> list[TopKResult]:
        """Negatives near each of the queries float32 [m, dim], in one pipeline.

        The items with ranks ``range_min`` to ``range_max`` (by default: ``n`` of them) are searched. ``positives`` has
        the ids of the right answers of each query, or one id for each. They are left out, and with ``margin`` also the
        items that score above the lowest of them minus the margin. At most ``n`` of the rest are drawn.

        Cost: a scan of all items for up to eight queries.
        """
        self._raise_errors()
        last = range_min + n - 1 if range_max is None else range_max
        options.update(range_min=range_min, range_max=last, margin=margin, columns=columns)
        if last - range_min + 1 > n or strategy != "random":
            options.update(sample=n, strategy=strategy)
        return self.client.topk_many(
            self.collection, last - range_min + 1, as_vectors(queries), except_ids=positives, **options
        )

    def _insist(self, carry_out: Callable[[], T]) -> T:
        """Carries out a request that may be repeated, until it has a result or patience ends."""
        deadline = time.monotonic() + self._patience
        pause = _PAUSE_SECONDS_MIN
        while True:
            try:
                return carry_out()
            except (Busy, ConnectionLost, Draining):
                if time.monotonic() + pause > deadline:
                    raise
            with self._change:
                self._stats.repeated += 1
            time.sleep(pause)
            pause = min(pause * 2, _PAUSE_SECONDS_MAX)

    # The queue

    def _enqueue(self, job: _Job) -> None:
        with self._change:
            self._change.wait_for(
                lambda: (
                    self._is_closing
                    or not self._stats.queued_bytes
                    or self._stats.queued_bytes + job.bytes <= self._queue_bytes_max
                )
            )
            if self._is_closing:
                raise Unsent("the trainer is closed")
            self._queue.append(job)
            self._outstanding += 1
            self._outstanding_batches += isinstance(job, _Observation)
            self._stats.queued_bytes += job.bytes
            self._change.notify_all()

    def _raise_errors(self) -> None:
        with self._change:
            if not self._errors:
                return
            error = TrainerError(self._errors, self._failures)
            self._errors, self._failures = [], 0
        raise error from error.errors[0]

    # The thread

    def _work(self) -> None:
        connection: Optional[Connection] = None
        last_success = time.monotonic()
        pause = _PAUSE_SECONDS_MIN
        while self._has_work():
            before = self._completed
            try:
                if connection is None or not connection.is_open:
                    connection = self._connect()
                exchange = Exchange(connection._session, ())
                exchange.extend(self._requests(exchange))
                try:
                    connection.exchange((), Effect.REPEATABLE, self.client.options.request_timeout, exchange)
                finally:
                    self._collect(exchange)
                failure: Optional[Exception] = None
            except Exception as error:
                failure = error
                if connection is not None:
                    connection.close()
            # What was sent without a reply comes before what waits, in the old order.
            is_late = bool(self._again or self._sent)
            with self._change:
                self._queue.extendleft(reversed([*self._again, *self._sent]))
                has_advanced = self._completed > before
            self._again.clear()
            self._sent.clear()
            self._must_repeat_puts = False
            if has_advanced:
                last_success = time.monotonic()
                pause = _PAUSE_SECONDS_MIN
            if failure is None and not is_late:
                last_success = time.monotonic()
                continue
            is_hopeless = failure is not None and not isinstance(failure, (ConnectionLost, ServerError))
            if is_hopeless or time.monotonic() - last_success > self._patience:
                self._give_up(failure or Busy("the daemon was busy for too long"))
                last_success = time.monotonic()
                continue
            time.sleep(pause)
            pause = min(pause * 2, _PAUSE_SECONDS_MAX)
        if connection is not None:
            connection.close()

    def _has_work(self) -> bool:
        """Waits for work. False at the end."""
        with self._change:
            self._change.wait_for(lambda: self._queue or self._is_closing)
            return bool(self._queue)

    def _connect(self) -> Connection:
        connection = Connection(self.client.options)
        with self._change:
            self._stats.connections += 1
        return connection

    def _requests(self, exchange: Exchange) -> Iterator[Request]:
        """What is queued, one after another. It ends if nothing is queued, and if something has to be sent again."""
        while True:
            self._collect(exchange)
            job = None if self._again else self._next_job()
            if job is None:
                return
            self._sent.append(job)
            yield job.request()

    def _next_job(self) -> Optional[_Job]:
        with self._change:
            if not self._queue:
                return None
            job = self._queue[0]
            if isinstance(job, _Observation) and job.lane is None and not self._free_lanes:
                return None
            self._queue.popleft()
            if job.was_sent:
                self._stats.repeated += 1
        job.was_sent = True
        if isinstance(job, _Observation) and job.lane is None:
            lane = self._free_lanes.pop()
            self._numbers[lane] += 1
            job.assign(lane, (f"{self.producer}-{lane}", self._numbers[lane]))
        return job

    def _collect(self, exchange: Exchange) -> None:
        """Takes the results that have arrived."""
        results, exchange.results = exchange.results, []
        for result in results:
            job = self._sent.popleft()
            if isinstance(job, _Observation):
                errors = [result] if isinstance(result, ServerError) else []
                if isinstance(result, list):
                    with self._change:
                        self._stats.skipped_ids += len(result)
            else:
                errors = list(result.values())
            if any(isinstance(error, (Busy, Draining)) for error in errors):
                self._again.append(job)
                self._must_repeat_puts |= not isinstance(job, _Observation)
            elif self._must_repeat_puts and not isinstance(job, _Observation):
                # An earlier embedding will be sent again. This one may be of the same id, and has to stay the last.
                self._again.append(job)
            else:
                self._complete(job, errors)

    def _complete(self, job: _Job, errors: Sequence[Exception]) -> None:
        with self._change:
            self._outstanding -= 1
            self._completed += 1
            self._stats.queued_bytes -= job.bytes
            if isinstance(job, _Observation):
                self._outstanding_batches -= 1
                if job.lane is not None:
                    self._free_lanes.append(job.lane)
                if not errors:
                    self._stats.observations += 1
                    self._stats.observed_ids += job.count
            else:
                self._stats.embeddings += job.count - len(errors)
            self._stats.failures += len(errors)
            self._failures += len(errors)
            self._errors += errors[: _ERRORS_KEPT - len(self._errors)]
            self._change.notify_all()

    def _give_up(self, failure: Exception) -> None:
        """Fails everything that is queued."""
        while True:
            with self._change:
                if not self._queue:
                    return
                job = self._queue.popleft()
            if isinstance(failure, Error):
                error: Exception = failure
            else:
                error = Error(f"the trainer's thread failed: {failure!r}")
                error.__cause__ = failure
            self._complete(job, [error])
