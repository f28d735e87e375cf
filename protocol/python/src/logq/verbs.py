"""Every verb once: how its request is written, and what its reply becomes. The transports share these methods."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Callable, Optional, TypeVar, Union, cast

import numpy as np
from numpy.typing import NDArray

from . import resp
from .arrays import (
    ID,
    IDDecoder,
    IDs,
    as_numpy,
    as_vector,
    as_vectors,
    encode_id,
    encode_ids,
    is_one_id,
)
from .calls import Call, Effect, Request, one
from .errors import ProtocolError, ServerError, Unsent
from .resp import STATES, Acknowledgements, Greeting, LineRows, Reader, Table, VectorRows
from .results import (
    Clock,
    Collection,
    FreqResult,
    GetResult,
    LogQResult,
    PopularResult,
    SampleResult,
    ScanResult,
    ScoreResult,
    TopKResult,
)

T = TypeVar("T")

PUT_BYTES = 1 << 18
"""About how many bytes of `PUT` requests are encoded at a time."""

JSON = Union[bytes, str, Mapping[str, Any]]
"""Features: a mapping, or the text of a JSON object."""

Sequenced = Union[str, bytes, "tuple[str, int]"]
"""``("producer", n)`` or ``"producer:n"``."""


@dataclass
class Limits:
    """The limits of the daemon that a request can exceed. `HELLO` tells them."""

    max_line_bytes: int = 1 << 20
    max_ids: int = 16_384
    max_k: int = 10_000
    max_reply_bytes: int = 64 << 20

    def update(self, greeting: Mapping[str, Any]) -> None:
        for name, value in greeting.items():
            attribute = name.replace("-", "_")
            if attribute in self.__dataclass_fields__ and isinstance(value, int):
                setattr(self, attribute, value)


# Words


def _text(value: Union[str, bytes]) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _number(value: Any) -> bytes:
    if isinstance(value, (int, np.integer)):
        return b"%d" % int(value)
    number = float(value)
    if not math.isfinite(number):
        raise Unsent(f"got {number}, expected a finite number")
    return repr(number).encode()


def _step(value: Optional[int]) -> bytes:
    return b"-" if value is None else b"%d" % int(value)


def _json(value: JSON) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise Unsent(f"got features that are no JSON: {error}") from None


def _id_list(values: IDs) -> bytes:
    return b",".join([resp.escaped(id) for id in encode_ids(values)])


def _options(**values: Any) -> list[bytes]:
    """Words ``name=value`` for all values that are not None."""
    words = []
    for name, value in values.items():
        if value is None:
            continue
        if isinstance(value, (bytes, str)):
            text = _text(value)
        elif isinstance(value, (bool, np.bool_)):
            text = b"true" if value else b"false"
        else:
            text = _number(value)
        words.append(name.rstrip("_").encode() + b"=" + text)
    return words


def _columns(names: Union[str, Sequence[str]], allowed: Sequence[str]) -> tuple[Optional[str], list[str]]:
    asked = names.replace(",", " ").split() if isinstance(names, str) else list(names)
    asked = ["logq" if name == "log_q" else name for name in asked]
    for name in asked:
        if name not in allowed:
            raise Unsent(f"got column {name!r}, expected some of {' '.join(allowed)}")
    return (",".join(asked) if asked else None), [name for name in allowed if name in asked]


def _sequence(value: Optional[Sequenced]) -> Optional[bytes]:
    if isinstance(value, tuple):
        return f"{value[0]}:{value[1]}".encode()
    return None if value is None else _text(value)


def _tail(ids: list[bytes]) -> list[bytes]:
    """The words before ids: ``--`` if the first of them would be taken for an option."""
    return [b"--"] if ids and resp.is_option_like(ids[0]) else []


# Results


def _nothing(_: Any) -> None:
    return None


def _number_or(value: Any, missing: Any) -> Any:
    return missing if value is None else value


def _floats(values: Sequence[Any]) -> NDArray[np.float64]:
    return np.array([math.nan if value is None else value for value in values], np.float64)


def _integers(values: Sequence[Any]) -> NDArray[np.int64]:
    return np.array([-1 if value is None else value for value in values], np.int64)


def _feature(value: Optional[bytes]) -> Any:
    return None if value is None else json.loads(value)


def _name(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _typed(value: Any) -> Any:
    """A number that may come as text; None for a hyphen."""
    if not isinstance(value, bytes):
        return value
    text = _name(value)
    if text == "-":
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _fields(value: Any) -> dict[str, Any]:
    """Labelled columns: a map, or text ``name=value name=value``."""
    if isinstance(value, dict):
        return {_name(name): _typed(field) for name, field in value.items()}
    return {_name(name): _typed(text) for name, _, text in (word.partition(b"=") for word in value.split(b" "))}


def _state_column(values: Sequence[Any]) -> NDArray[np.str_]:
    return np.array([_name(value) for value in values], STATES.dtype)


class Verbs:
    """Makes a :class:`Call` of each verb. Clients have the same methods, which carry the call out."""

    def __init__(self, decode_ids: str = "bytes") -> None:
        self.decoder = IDDecoder(decode_ids)
        self.limits = Limits()

    def _write(self, *head: bytes, tail: Sequence[bytes] = (), effect: Effect = Effect.REPEATABLE) -> Call[None]:
        return one(head, tail, Reader, _nothing, effect)

    def _by_id(
        self,
        head: list[bytes],
        ids: list[bytes],
        reader: Callable[[Sequence[bytes]], Reader],
        finish: Callable[[list[Any]], T],
        effect: Effect = Effect.READ,
        may_escape: bool = True,
    ) -> Call[T]:
        """A call for any number of ids, in as many requests as the limits of the daemon need."""
        if not ids:
            raise Unsent("got no ids, expected at least one")

        def requests() -> Iterator[Request]:
            for part in _parts(ids, self.limits):
                before = head + _tail(part) if may_escape else head
                yield Request(resp.request(before, part), reader(part))

        return Call(requests, finish, effect)

    # Connection

    def ping(self) -> Call[None]:
        """Asks for a sign of life. Cost: one round trip."""
        return one((b"PING",), (), Reader, _nothing)

    def hello(self) -> Call[dict[str, Any]]:
        """The daemon's version, protocol and limits, by name. A connection has already done this when it is opened."""
        return say_hello()

    def help(self, verb: Optional[str] = None) -> Call[list[str]]:
        """The usage of all verbs, or of one verb and its options.

        Errors: :class:`UnknownVerb`.
        """
        words = [b"HELP"] if verb is None else [b"HELP", verb.encode()]
        return one(words, (), Reader, lambda rows: [_name(row) for row in rows])

    def info(self, section: Optional[str] = None) -> Call[dict[str, str]]:
        """The state of the daemon, by name: all of it, or a section.

        Sections are ``server``, ``requests``, ``memory``, ``storage``, ``limits`` and ``collections``. A verb, an error
        and a collection have names such as ``verb_PUT`` and ``collection_songs``.
        """
        words = [b"INFO"] if section is None else [b"INFO", section.encode()]
        return one(words, (), Reader, _information)

    # Collections

    def create(
        self,
        collection: str,
        dim: Optional[int] = None,
        *,
        like: Optional[str] = None,
        metric: Optional[str] = None,
        alpha: Optional[float] = None,
        half_life: Optional[float] = None,
        recent: Optional[int] = None,
        max_ids: Optional[int] = None,
        estimator: Optional[str] = None,
        buckets: Optional[int] = None,
        hashes: Optional[int] = None,
        seed: Optional[int] = None,
        if_missing: Optional[bool] = None,
    ) -> Call[None]:
        """Makes an empty collection. A program that may start again gives ``if_missing=True``.

        - ``dim``: elements of each vector. Required without ``like``, the collection whose parameters to take.
        - ``metric``: ``dot``, ``cosine`` or ``l2``; ``half_life``: in steps; ``alpha``: of the gap, 0.01 by default.
        - ``recent``: last observations to keep; ``max_ids``: a cap on the number of ids.
        - ``estimator``: ``exact``, or ``sketch`` with ``buckets``, ``hashes`` and ``seed``.

        Errors: :class:`Exists`, :class:`LimitExceeded`, :class:`Full`.
        """
        options = _options(
            dim=dim,
            like=like,
            metric=metric,
            alpha=alpha,
            half_life=half_life,
            recent=recent,
            max_ids=max_ids,
            estimator=estimator,
            buckets=buckets,
            hashes=hashes,
            seed=seed,
            if_missing=if_missing,
        )
        return self._write(b"CREATE", _text(collection), *options)

    def drop(self, collection: str) -> Call[None]:
        """Removes a collection with everything in it, immediately."""
        return self._write(b"DROP", _text(collection))

    def swap(self, a: str, b: str, *, statistics: Optional[str] = None) -> Call[None]:
        """Exchanges the names of two collections, in one commit. Two swaps cancel each other, so it is never repeated.

        ``statistics="stay"``: the name ``a`` keeps its statistics, as a new model needs. The default is ``move``.
        """
        return self._write(b"SWAP", _text(a), _text(b), *_options(statistics=statistics), effect=Effect.ONCE)

    def collections(self) -> Call[list[Collection]]:
        """All collections, sorted by name."""
        return one((b"COLLECTIONS",), (), Reader, lambda rows: [_collection(row) for row in rows])

    # Items

    def put(self, collection: str, ids: IDs, vectors: Any, features: Any = None) -> Call[None]:
        """Sets the embedding of one item or of many, and the features of those that have some in ``features``.

        - ``ids``: one id, or n of them.
        - ``vectors``: float32 [dim] for one id, [n, dim] for n. Other numbers are converted.
        - ``features``: for one id a mapping or JSON text; for n, a sequence of n with None where features stay.

        All requests are pipelined. If some are refused, the others are carried out, and the error of the first refused
        one is raised: its ``failures`` has all errors by index.

        Errors: :class:`WrongDimension`, :class:`BadVector`, :class:`Full`, :class:`Busy`.

        Cost: about 0.3 microseconds here and 3 in the daemon for 64 numbers. All are durable on return.
        """
        encoded = encode_ids(ids)
        array = as_vectors(vectors)
        if len(encoded) != len(array):
            raise Unsent(f"got {len(encoded)} ids and {len(array)} vectors")
        texts = _features_of(features, is_one_id(ids), len(encoded))
        return self._many(encoded, array, partial(resp.puts, _text(collection)), texts)

    def _many(
        self,
        ids: list[bytes],
        vectors: NDArray[np.float32],
        encode: Callable[..., bytes],
        texts: Optional[list[Optional[bytes]]],
    ) -> Call[None]:
        # Encode a part at a time, so that a large array does not need its size again in memory.
        size = max(1, PUT_BYTES // (vectors.shape[1] * 4 + 64))
        starts = range(0, len(ids), size)

        def requests() -> Iterator[Request]:
            for start in starts:
                part = slice(start, start + size)
                some = ids[part]
                payload = encode(some, vectors[part], None if texts is None else texts[part])
                yield Request(payload, Acknowledgements(len(some)), len(some))

        return Call(requests, partial(_raise_first, size), Effect.REPEATABLE)

    def get(self, collection: str, ids: IDs) -> Call[GetResult]:
        """Reads the embeddings of ids: ``found`` bool [n], and ``vectors`` float32 [n, dim].

        More ids than the daemon takes in a request are read with several, which are not of one moment.

        Cost: about 0.5 microseconds for an id of 64 numbers.
        """
        return self._by_id([b"GET", _text(collection)], encode_ids(ids), VectorRows, _get_result)

    def delete(self, collection: str, ids: IDs) -> Call[NDArray[np.bool_]]:
        """Removes the embeddings, features and statistics of ids. Returns bool [n]: whether the id had any of these."""
        head = [b"DEL", _text(collection)]
        reader = partial(LineRows, kinds="f")
        return self._by_id(head, encode_ids(ids), reader, lambda parts: _joined(parts, 0), effect=Effect.REPEATABLE)

    def scan(self, collection: str, *, after: Optional[int] = None, limit: Optional[int] = None) -> Call[ScanResult]:
        """A page of the ids that have an embedding. ``after``: the last row of the page before.

        A page with fewer rows than ``limit`` (1 to 16,384, by default 1,000) is the last.
        """
        options = _options(after=after, limit=limit)
        return one((b"SCAN", _text(collection), *options), (), Reader, self._scan_result)

    def _scan_result(self, rows: list[Any]) -> ScanResult:
        return ScanResult(_integers([row[0] for row in rows]), self.decoder([row[1] for row in rows]))

    # Features

    def fset(self, collection: str, ids: IDs, features: Any, *, merge: Optional[bool] = None) -> Call[None]:
        """Sets the features of one item or of many. They need no embedding.

        ``features`` is a mapping or JSON text for one id, a sequence of n for n ids. ``merge=True`` changes only the
        given keys; a key with the value None is removed (RFC 7396).

        Errors: :class:`LimitExceeded` if the features, merged, would be longer than the daemon allows.
        """
        encoded = encode_ids(ids)
        texts = _features_of(features, is_one_id(ids), len(encoded))
        if texts is None or None in texts:
            raise Unsent("got None, expected features for each id")
        options = _options(merge=merge)
        head = (b"FSET", _text(collection))

        def requests() -> Iterator[Request]:
            for start in range(0, len(encoded), 256):
                some = list(zip(encoded, cast("list[bytes]", texts)))[start : start + 256]
                payload = b"".join(resp.request((*head, id, *options, text)) for id, text in some)
                yield Request(payload, Acknowledgements(len(some)), len(some))

        return Call(requests, partial(_raise_first, 256), Effect.REPEATABLE)

    def fget(
        self, collection: str, ids: IDs, *, fields: Optional[Sequence[str]] = None, raw: bool = False
    ) -> Call[list[Any]]:
        """Reads features: a list with a dict for each id, or None. ``raw=True`` returns the JSON as bytes.

        ``fields``: only these top-level keys.
        """
        listed = None if fields is None else b",".join([resp.escaped(_text(field)) for field in fields])
        head = [b"FGET", _text(collection), *_options(fields=listed)]
        convert = (lambda value: value) if raw else _feature

        def finish(parts: list[Any]) -> list[Any]:
            return [convert(row[1]) for rows in parts for row in rows]

        return self._by_id(head, encode_ids(ids), lambda _: Reader(), finish)

    # Observations

    def observe(
        self,
        collection: str,
        step: Optional[int],
        ids: IDs,
        *,
        seq: Optional[Sequenced] = None,
        run: Optional[str] = None,
        jump: Optional[bool] = None,
        full: Optional[str] = None,
    ) -> Call[Any]:
        """Counts one batch of the trainer: these ids were in the batch of this step.

        - ``step``: the step of the trainer's run, None for the collection's last step + 1.
        - ``seq``: ``("producer", n)`` with a rising n. Only then may the request be repeated: it is counted once.
        - ``run``: the name of the trainer's run, a new one at each start.
        - ``full="skip"``: do not count new ids if there is no room for them.

        Returns the ids that were not counted: none without ``full="skip"``.

        Errors: :class:`BadStep`, :class:`Full`, :class:`LimitExceeded`, :class:`Busy`.

        Cost: about 0.5 microseconds for an id.
        """
        head, encoded = self._observation(collection, step, ids, seq, run, jump, full, {})
        effect = Effect.ONCE if seq is None else Effect.REPEATABLE
        finish = lambda rows: self.decoder(rows if isinstance(rows, list) else [])  # noqa: E731
        return one(head, encoded, Reader, finish, effect)

    def observe_log_q(
        self,
        collection: str,
        step: Optional[int],
        ids: IDs,
        *,
        seq: Optional[Sequenced] = None,
        run: Optional[str] = None,
        jump: Optional[bool] = None,
        full: Optional[str] = None,
        unit: Optional[str] = None,
        batch: Optional[int] = None,
        strength: Optional[float] = None,
    ) -> Call[LogQResult]:
        """Counts one batch as :meth:`observe` does, and returns its log q right after it as :meth:`log_q` does.

        Cost: one round trip, and about 0.7 microseconds for an id.
        """
        reply = {"return": "logq", "unit": unit, "batch": batch, "strength": strength}
        head, encoded = self._observation(collection, step, ids, seq, run, jump, full, reply)
        effect = Effect.ONCE if seq is None else Effect.REPEATABLE
        return one(head, encoded, lambda: LineRows(encoded, "nw"), lambda part: _log_q_result([part]), effect)

    def _observation(
        self,
        collection: str,
        step: Optional[int],
        ids: IDs,
        seq: Optional[Sequenced],
        run: Optional[str],
        jump: Optional[bool],
        full: Optional[str],
        reply: dict[str, Any],
    ) -> tuple[list[bytes], list[bytes]]:
        encoded = encode_ids(ids)
        if not encoded:
            raise Unsent("got no ids, expected at least one")
        options = _options(seq=_sequence(seq), run=run, jump=jump, full=full, **reply)
        return [b"OBSERVE", _text(collection), _step(step), *options, *_tail(encoded)], encoded

    def freqset(
        self,
        collection: str,
        step: Optional[int],
        ids: IDs,
        gaps: Any = None,
        counts: Any = None,
        *,
        run: Optional[str] = None,
        jump: Optional[bool] = None,
    ) -> Call[None]:
        """Sets estimates that a trainer has computed itself. :meth:`observe` continues from them.

        ``gaps`` and ``counts`` are float [n]; NaN, and None for the whole array, keep what there is.
        """
        encoded = encode_ids(ids)
        words: list[bytes] = []
        for id, gap, count in zip(encoded, _estimates(gaps, len(encoded)), _estimates(counts, len(encoded))):
            words += (id, gap, count)
        head = [b"FREQSET", _text(collection), _step(step), *_options(run=run, jump=jump), *_tail(encoded)]
        effect = Effect.ONCE if step is None else Effect.REPEATABLE
        return self._write(*head, tail=words, effect=effect)

    def clock(self, collection: str) -> Call[Clock]:
        """The steps that a collection has seen, its runs and its producers."""
        return one((b"CLOCK", _text(collection)), (), Reader, _clock)

    def clockset(self, collection: str, step: int) -> Call[None]:
        """Sets the last step of a collection. It undoes a step that was accepted by mistake."""
        return self._write(b"CLOCKSET", _text(collection), _step(step))

    # log Q

    def log_q(
        self,
        collection: str,
        ids: IDs,
        *,
        unit: Optional[str] = None,
        batch: Optional[int] = None,
        strength: Optional[float] = None,
    ) -> Call[LogQResult]:
        """The numbers to subtract from the logits, after these are divided by the temperature: float64 [n].

        ``unit``: ``q`` (the default), ``p``, or ``expected`` with ``batch`` draws. ``strength``: a factor.

        Cost: about 0.6 microseconds for an id.
        """
        head = [b"LOGQ", _text(collection), *_options(unit=unit, batch=batch, strength=strength)]
        return self._by_id(head, encode_ids(ids), partial(LineRows, kinds="nw"), _log_q_result)

    def freq(self, collection: str, ids: IDs, *, batch: Optional[int] = None) -> Call[FreqResult]:
        """All statistics and estimates of ids. ``batch``: the number of draws, for ``expected``.

        Cost: about 6 microseconds for an id. :meth:`log_q` is cheaper.
        """
        head = [b"FREQ", _text(collection), *_options(batch=batch)]
        reader: Callable[[Sequence[bytes]], Reader] = lambda _: Table("nnnnniw", _FREQ_LABELS)  # noqa: E731
        return self._by_id(head, encode_ids(ids), reader, _freq_result)

    def popular(
        self,
        collection: str,
        n: int,
        *,
        after: Optional[tuple[bytes, float, Optional[int]]] = None,
        timeout_ms: Optional[int] = None,
    ) -> Call[PopularResult]:
        """A page of all ids by count, the highest first. ``after``: that of the page before.

        Errors: :class:`Busy`, :class:`QueryTimeout`.
        """
        place = None
        if after is not None:
            place = b",".join((resp.escaped(after[0]), _number(after[1]), _step(after[2])))
        options = _options(after=place, timeout_ms=timeout_ms)
        return one((b"POPULAR", _text(collection), _number(n), *options), (), Reader, self._popular_result)

    def _popular_result(self, rows: list[Any]) -> PopularResult:
        counts = _floats([row[1] for row in rows])
        step = rows[-1][2] if rows else None
        after = (rows[-1][0], float(rows[-1][1]), step) if rows else None
        return PopularResult(self.decoder([row[0] for row in rows]), counts, step, after)

    # Search

    def topk(
        self,
        collection: str,
        k: int,
        query: Any = None,
        *,
        like: Optional[ID] = None,
        strength: Optional[float] = None,
        range_min: Optional[int] = None,
        range_max: Optional[int] = None,
        radius: Optional[float] = None,
        except_ids: IDs = None,
        margin: Optional[float] = None,
        sample: Optional[int] = None,
        strategy: Optional[str] = None,
        seed: Optional[int] = None,
        columns: Union[str, Sequence[str]] = (),
        timeout_ms: Optional[int] = None,
    ) -> Call[TopKResult]:
        """Exactly the ``k`` items with the highest scores for a query: float32 [dim], or ``like``, the id of an item.

        - ``strength``: ranks by score - strength * log q.
        - ``range_min``, ``range_max``: a window of ranks; the best item has rank 1. ``radius``: the least score.
        - ``except_ids``: ids to leave out. ``margin``: leave out items whose score is above the lowest of these ids
          minus the margin.
        - ``sample``: at most this many of what is left, the best or with ``strategy="random"`` any (``seed``).
        - ``columns``: more columns, of ``rank``, ``vector``, ``log_q``, ``features``.

        Errors: :class:`WrongDimension`, :class:`BadVector`, :class:`NoItem`, :class:`Busy`, :class:`QueryTimeout`.

        Cost: a scan of all items in the daemon; here about a microsecond for a row and column.
        """
        asked, names = _columns(columns, ("rank", "vector", "logq", "features"))
        if (query is None) == (like is None):
            raise Unsent("got both a query and like, or none of them, expected one")
        options = _options(
            strength=strength,
            range_min=range_min,
            range_max=range_max,
            radius=radius,
            except_=None if except_ids is None else _id_list(except_ids),
            margin=margin,
            sample=sample,
            strategy=strategy,
            seed=seed,
            with_=asked,
            timeout_ms=timeout_ms,
        )
        if like is not None:
            options.append(b"like=" + resp.escaped(encode_id(like)))
        else:
            options.append(resp.raw_word(resp.raw_rows(as_vector(query))[0]))
        head = (b"TOPK", _text(collection), _number(k), *options)
        reader = partial(Table, "n" + _kinds(names))
        return one(head, (), reader, partial(self._topk_result, names))

    def topk_many(
        self, /, collection: str, k: int, queries: Any, *, except_ids: Optional[Sequence[IDs]] = None, **options: Any
    ) -> Call[list[TopKResult]]:
        """:meth:`topk` for each of the queries float32 [m, dim], pipelined. ``except_ids`` has ids for each query.

        The daemon scans the items once for up to eight queries.
        """
        vectors = as_vectors(queries)
        if except_ids is not None and len(except_ids) != len(vectors):
            raise Unsent(f"got except_ids for {len(except_ids)} queries, expected {len(vectors)}")
        excepted: Sequence[Any] = [None] * len(vectors) if except_ids is None else except_ids
        calls = [self.topk(collection, k, vector, except_ids=ids, **options) for vector, ids in zip(vectors, excepted)]
        return _together(calls)

    def _topk_result(self, names: list[str], columns: list[Any]) -> TopKResult:
        ids, scores, *others = columns
        return TopKResult(self.decoder(ids), scores, **_named(names, others))

    def score(self, collection: str, query: Any, ids: IDs) -> Call[ScoreResult]:
        """The scores of ids for a query float32 [dim]: float64 [n], NaN where there is no embedding."""
        word = resp.raw_word(resp.raw_rows(as_vector(query))[0])
        head = [b"SCORE", _text(collection), word]
        reader = partial(LineRows, kinds="n")
        return self._by_id(head, encode_ids(ids), reader, _score_result, may_escape=False)

    # Negatives

    def sample(
        self,
        collection: str,
        n: int,
        *,
        by: Optional[str] = None,
        power: Optional[float] = None,
        mix: Union[str, tuple[float, float], None] = None,
        unique: Optional[bool] = None,
        insist: Optional[bool] = None,
        except_ids: IDs = None,
        seed: Optional[int] = None,
        columns: Union[str, Sequence[str]] = (),
        timeout_ms: Optional[int] = None,
    ) -> Call[SampleResult]:
        """Draws ``n`` items that have an embedding, each with its probability.

        - ``by``: ``uniform`` (the default), ``frequency``, ``mixed`` with ``mix=(B, B')``, or ``recent``.
        - ``power``: of the counts, 0 to 1. ``unique``: no item twice. ``insist``: fewer rows are :class:`NoItem`.
        - ``columns``: more columns, of ``vector``, ``log_q``, ``features``.

        A repeated request without ``seed`` is another draw.

        Errors: :class:`NoItem`, :class:`Busy`, :class:`QueryTimeout`.
        """
        asked, names = _columns(columns, ("vector", "logq", "features"))
        if mix is not None and not isinstance(mix, str):
            mix = ":".join(_number(part).decode() for part in mix)
        options = _options(
            by=by,
            power=power,
            mix=mix,
            unique=unique,
            insist=insist,
            except_=None if except_ids is None else _id_list(except_ids),
            seed=seed,
            with_=asked,
            timeout_ms=timeout_ms,
        )
        head = (b"SAMPLE", _text(collection), _number(n), *options)
        reader = partial(Table, "nn" + _kinds(names))
        return one(head, (), reader, partial(self._sample_result, names))

    def _sample_result(self, names: list[str], columns: list[Any]) -> SampleResult:
        ids, q, expected, *others = columns
        return SampleResult(self.decoder(ids), q, expected, **_named(names, others))


def say_hello() -> Call[dict[str, Any]]:
    """The first request of a connection."""
    return one((b"HELLO", b"3", b"vectors=raw"), (), Greeting, _greeting)


def _greeting(reply: Any) -> dict[str, Any]:
    """The reply to `HELLO` with text and numbers."""
    if not isinstance(reply, dict):
        raise ProtocolError(f"got {reply!r:.80}, expected a map: is this a logqd?")
    return {_name(name): _typed(value) for name, value in reply.items()}


def _parts(ids: list[bytes], limits: Limits) -> Iterator[list[bytes]]:
    """The ids in parts, each of which fits into one request."""
    bytes_max = max(limits.max_line_bytes - 4096, 4096)
    if len(ids) <= limits.max_ids and sum(map(len, ids)) + len(ids) <= bytes_max:
        yield ids
        return
    start = size = 0
    for index, id in enumerate(ids):
        # The daemon counts the bytes of each word, and one more.
        bytes_of_id = len(id) + 1
        if index > start and (index - start >= limits.max_ids or size + bytes_of_id > bytes_max):
            yield ids[start:index]
            start, size = index, 0
        size += bytes_of_id
    yield ids[start:]


def _together(calls: list[Call[T]]) -> Call[list[T]]:
    """Several calls of one request each as one."""
    return Call(
        lambda: (request for call in calls for request in call.requests()),
        lambda results: [call.finish([result]) for call, result in zip(calls, results)],
        Effect.READ,
    )


def _features_of(features: Any, is_one: bool, count: int) -> Optional[list[Optional[bytes]]]:
    if features is None:
        return None
    if is_one:
        if not isinstance(features, (bytes, str, Mapping)):
            raise Unsent(f"got {type(features).__name__}, expected features: a mapping or JSON")
        return [_json(features)]
    if isinstance(features, (bytes, str, Mapping)) or len(features) != count:
        raise Unsent(f"got features that are no sequence of {count}")
    return [None if value is None else _json(value) for value in features]


def _raise_first(size: int, results: list[Any]) -> None:
    failures = {part * size + index: error for part, result in enumerate(results) for index, error in result.items()}
    if failures:
        first: ServerError = failures[min(failures)]
        first.failures = failures
        raise first


def _estimates(values: Any, count: int) -> list[bytes]:
    if values is None:
        return [b"-"] * count
    numbers = as_numpy(values).ravel().tolist()
    if len(numbers) != count:
        raise Unsent(f"got {len(numbers)} numbers for {count} ids")
    return [b"-" if number is None or number != number else _number(number) for number in numbers]


def _joined(parts: list[Any], column: int) -> NDArray[Any]:
    return cast("NDArray[Any]", parts[0][column] if len(parts) == 1 else np.concatenate([p[column] for p in parts]))


def _get_result(parts: list[Any]) -> GetResult:
    if len(parts) == 1:
        return GetResult(*parts[0])
    dim = max(vectors.shape[1] for _, vectors in parts)
    whole = [vectors if vectors.shape[1] else np.zeros((len(vectors), dim), np.float32) for _, vectors in parts]
    return GetResult(_joined(parts, 0), np.concatenate(whole))


def _log_q_result(parts: list[Any]) -> LogQResult:
    return LogQResult(_joined(parts, 0), _joined(parts, 1))


def _score_result(parts: list[Any]) -> ScoreResult:
    scores = _joined(parts, 0)
    return ScoreResult(~np.isnan(scores), scores)


_FREQ_LABELS = (b"q", b"p", b"expected", b"gap", b"count", b"last", b"state")


def _freq_result(parts: list[Any]) -> FreqResult:
    states = _state_column([state for part in parts for state in part[7]])
    q, p, expected, gap, count, last = (_joined(parts, column) for column in range(1, 7))
    return FreqResult(q=q, p=p, expected=expected, gap=gap, count=count, last=last, states=states)


def _kinds(names: Sequence[str]) -> str:
    """The kinds of the columns of ``with=``."""
    return "".join([{"rank": "i", "vector": "v", "logq": "n", "features": "j"}[name] for name in names])


def _named(names: list[str], columns: list[Any]) -> dict[str, Any]:
    attributes: dict[str, tuple[str, Callable[[list[Any]], Any]]] = {
        "rank": ("ranks", lambda values: values),
        "vector": ("vectors", resp.vector_column),
        "logq": ("log_q", lambda values: values),
        "features": ("features", lambda values: [_feature(value) for value in values]),
    }
    return {attributes[name][0]: attributes[name][1](column) for name, column in zip(names, columns)}


def _collection(row: list[Any]) -> Collection:
    fields = _fields(row[1])
    known = {name: fields.get(name) for name in Collection.__dataclass_fields__ if name != "name"}
    return Collection(name=_name(row[0]), **cast("dict[str, Any]", known))


def _clock(reply: dict[Any, Any]) -> Clock:
    values = {_name(name): value for name, value in reply.items()}
    counts = {name: _typed(value) for name, value in values.items()}
    lists: dict[str, dict[str, dict[str, int]]] = {"run": {}, "producer": {}}
    for label in list(values):
        kind, colon, name = label.partition(":")
        if colon and kind in lists:
            lists[kind][name] = _fields(values.pop(label))
    known = {name: counts.get(name.replace("_", "-")) for name in Clock.__dataclass_fields__}
    known.update(runs=lists["run"], producers=lists["producer"])
    return Clock(**cast("dict[str, Any]", known))


def _information(reply: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in _name(reply).split("\r\n") if line)
    return {name: value for name, _, value in pairs}
