"""What the verbs return. All arrays own their memory and may be written to.

An attribute ``ids`` is a list of bytes, a list of str, or int64 [n], as ``decode_ids`` of the client says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class GetResult:
    """The embeddings of the requested ids, in the order of the request."""

    found: NDArray[np.bool_]
    """bool [n]: whether the id has an embedding."""
    vectors: Vectors
    """float32 [n, dim]. The row of an id without an embedding is zero. If no id has one, dim is 0."""


@dataclass(frozen=True)
class LogQResult:
    """log q of the requested ids, in the order of the request."""

    log_q: Floats
    """float64 [n]: the natural logarithm, times the strength. It is always finite. Subtract it from the logits."""
    states: NDArray[np.str_]
    """[n]: ``seen``, ``stale``, ``once`` or ``unseen``."""


@dataclass(frozen=True)
class FreqResult:
    """All statistics of the requested ids, in the order of the request."""

    q: Floats
    """float64 [n]: probability per draw."""
    p: Floats
    """float64 [n]: probability of being in a batch."""
    expected: Floats
    """float64 [n]: expected count in a batch of ``batch`` draws, NaN without ``batch``."""
    gap: Floats
    """float64 [n]: estimated steps between two batches with the id. NaN if it is unseen, or seen once."""
    count: Floats
    """float64 [n]: observations, decayed if the collection has a half-life."""
    last: NDArray[np.int64]
    """int64 [n]: the last step, -1 for an unseen id."""
    states: NDArray[np.str_]
    """[n]: ``seen``, ``stale``, ``once`` or ``unseen``."""


@dataclass(frozen=True)
class ScoreResult:
    """The scores of the requested ids, in the order of the request."""

    found: NDArray[np.bool_]
    """bool [n]: whether the id has an embedding."""
    scores: Floats
    """float64 [n], NaN for an id without an embedding."""


@dataclass(frozen=True)
class ScanResult:
    """A page of the ids that have an embedding."""

    rows: NDArray[np.int64]
    """int64 [n]: give the last one as ``after`` to get the next page."""
    ids: Any


@dataclass(frozen=True)
class PopularResult:
    """A page of all ids, the highest count first."""

    ids: Any
    counts: Floats
    """float64 [n]."""
    step: Optional[int]
    """The step at which the counts hold; None before the first observation."""
    after: Optional[tuple[bytes, float, Optional[int]]]
    """Give this as ``after`` to get the next page. None if this page is empty."""


@dataclass(frozen=True)
class TopKResult:
    """The items with the best scores, the best first."""

    ids: Any
    scores: Floats
    """float64 [n]. With a strength: score - strength * log q."""
    ranks: Optional[NDArray[np.int64]] = None
    """int64 [n] if asked: 1 is the best item."""
    vectors: Optional[Vectors] = None
    """float32 [n, dim] if asked."""
    log_q: Optional[Floats] = None
    """float64 [n] if asked."""
    features: Optional[list[Any]] = None
    """If asked: the features as Python objects, None without features."""


@dataclass(frozen=True)
class SampleResult:
    """Drawn items, in the order of the draws."""

    ids: Any
    q: Floats
    """float64 [n]: the probability of the item in one draw. Subtract its logarithm from the item's logit."""
    expected: Floats
    """float64 [n]: how often the item is expected among the draws."""
    vectors: Optional[Vectors] = None
    """float32 [n, dim] if asked."""
    log_q: Optional[Floats] = None
    """float64 [n] if asked: log of the share of the whole stream, as ``log_q`` returns it."""
    features: Optional[list[Any]] = None
    """If asked: the features as Python objects, None without features."""


@dataclass(frozen=True)
class Collection:
    """A collection, its parameters and its size. A parameter that it does not have is None."""

    name: str
    dim: int
    metric: str
    alpha: float
    items: int
    ids: int
    half_life: Optional[float]
    recent: Optional[int]
    max_ids: Optional[int]
    buckets: Optional[int]
    hashes: Optional[int]


@dataclass(frozen=True)
class Clock:
    """The steps that a collection has seen."""

    first_step: Optional[int]
    last_step: Optional[int]
    count: float
    half_life: Optional[float]
    pace: float
    max_ahead: int
    max_late: int
    lateness: int
    late: int
    refused_late: int
    refused_ahead: int
    runs: dict[str, dict[str, int]]
    """For each run, ``last`` is its highest step, and ``clock`` that step of the collection. ``-`` has no name."""
    producers: dict[str, dict[str, int]]
    """For each producer, ``last`` is the last number of ``seq`` and ``step`` its step."""
