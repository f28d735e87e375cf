"""What the verbs write, option by option, and what they refuse before anything is sent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import logq
from logq.calls import Call, Effect
from logq.resp import Reader
from logq.verbs import Limits, Verbs

verbs = Verbs()


def words(call: Call[Any]) -> list[list[bytes]]:
    """The words of all requests of a call."""
    found = []
    for request in call.requests():
        buffer, position = bytearray(request.payload), 0
        while position < len(buffer):
            reader = Reader()
            position = reader.read(buffer, position)
            found.append(reader.result)
    return found


def line(call: Call[Any]) -> str:
    (only,) = words(call)
    return b" ".join(only).decode()


def test_connection_verbs() -> None:
    assert line(verbs.ping()) == "PING"
    assert line(verbs.hello()) == "HELLO 3 vectors=raw"
    assert line(verbs.help()) == "HELP"
    assert line(verbs.help("topk")) == "HELP topk"
    assert line(verbs.info("memory")) == "INFO memory"


def test_create_has_every_option() -> None:
    created = verbs.create(
        "c", 3, metric="l2", alpha=0.01, half_life=500, recent=0, max_ids=9, estimator="exact", if_missing=True
    )
    assert line(created) == (
        "CREATE c dim=3 metric=l2 alpha=0.01 half_life=500 recent=0 max_ids=9 estimator=exact if_missing=true"
    )
    sketch = verbs.create("c", 3, estimator="sketch", buckets=5, hashes=2, seed=0, if_missing=False)
    assert line(sketch) == "CREATE c dim=3 estimator=sketch buckets=5 hashes=2 seed=0 if_missing=false"
    assert line(verbs.create("c", like="d")) == "CREATE c like=d"
    assert line(verbs.drop("c")) == "DROP c"
    assert line(verbs.swap("a", "b", statistics="stay")) == "SWAP a b statistics=stay"
    assert line(verbs.collections()) == "COLLECTIONS"


def test_item_verbs() -> None:
    assert words(verbs.put("c", "a", [1, 2], {"x": "é"})) == [
        [b"PUT", b"c", b"a", np.array([1, 2], "<f4").tobytes(), '{"x":"é"}'.encode()]
    ]
    assert len(words(verbs.put("c", [1, 2], [[1], [2]], [None, b"{}"]))[0]) == 4
    assert line(verbs.get("c", ["a", "b=c"])) == "GET c a b=c"
    assert line(verbs.get("c", ["b=c", "a"])) == "GET c -- b=c a"
    assert line(verbs.get("c", "--")) == "GET c -- --"
    assert line(verbs.delete("c", [7, 8])) == "DEL c 7 8"
    assert line(verbs.scan("c", after=7, limit=2)) == "SCAN c after=7 limit=2"
    assert line(verbs.fset("c", "a", {"x": None}, merge=True)) == 'FSET c a merge=true {"x":null}'
    assert line(verbs.fget("c", ["a"], fields=["x y", "z"])) == "FGET c fields=x%20y,z a"
    assert line(verbs.fget("c", ["a"], fields=[])) == "FGET c fields= a"


def test_observation_verbs() -> None:
    observed = verbs.observe("c", 5, ["a", "a"], seq=("w", 7), run="r", jump=True, full="skip")
    assert line(observed) == "OBSERVE c 5 seq=w:7 run=r jump=true full=skip a a"
    assert line(verbs.observe("c", None, ["a=b"], seq="w:1")) == "OBSERVE c - seq=w:1 -- a=b"
    returned = verbs.observe_log_q("c", 5, [1], unit="expected", batch=20, strength=0.5)
    assert line(returned) == "OBSERVE c 5 return=logq unit=expected batch=20 strength=0.5 1"
    assert line(verbs.freqset("c", None, ["a", "b"], [2.5, float("nan")], [3, None])) == "FREQSET c - a 2.5 3 b - -"
    assert line(verbs.freqset("c", 9, ["a"], counts=np.array([3]), run="r", jump=False)) == (
        "FREQSET c 9 run=r jump=false a - 3"
    )
    assert line(verbs.clock("c")) == "CLOCK c"
    assert line(verbs.clockset("c", 9)) == "CLOCKSET c 9"
    assert line(verbs.log_q("c", ["a"], unit="p", strength=-2)) == "LOGQ c unit=p strength=-2 a"
    assert line(verbs.freq("c", ["a"], batch=20)) == "FREQ c batch=20 a"
    assert line(verbs.popular("c", 2, after=(b"a b", 3.0, 9), timeout_ms=5)) == (
        "POPULAR c 2 after=a%20b,3.0,9 timeout_ms=5"
    )
    assert line(verbs.popular("c", 2, after=(b"a", 0.0, None))) == "POPULAR c 2 after=a,0.0,-"


def test_search_verbs() -> None:
    found = verbs.topk(
        "c",
        10,
        like="a=b",
        strength=1.5,
        range_min=2,
        range_max=5,
        radius=-0.25,
        except_ids=["p,1", "p2"],
        margin=0.05,
        sample=3,
        strategy="random",
        seed=7,
        columns="rank,vector,log_q,features",
        timeout_ms=500,
    )
    assert line(found) == (
        "TOPK c 10 strength=1.5 range_min=2 range_max=5 radius=-0.25 except=p%2C1,p2 margin=0.05 sample=3 "
        "strategy=random seed=7 with=rank,vector,logq,features timeout_ms=500 like=a%3Db"
    )
    assert words(verbs.topk("c", 1, [0.5]))[0] == [b"TOPK", b"c", b"1", b"\x00\x00\x00?"]
    many = words(verbs.topk_many("c", 1, [[1], [2]], except_ids=[["a"], []], columns=["rank"]))
    assert [request[3:5] for request in many] == [[b"except=a", b"with=rank"], [b"except=", b"with=rank"]]
    assert words(verbs.score("c", [0.5], ["x=y"]))[0] == [b"SCORE", b"c", b"\x00\x00\x00?", b"x=y"]
    drawn = verbs.sample(
        "c",
        9,
        by="mixed",
        power=0.75,
        mix=(3, 1),
        unique=True,
        insist=False,
        except_ids="a",
        seed=1,
        columns=["features", "vector"],
        timeout_ms=9,
    )
    assert line(drawn) == (
        "SAMPLE c 9 by=mixed power=0.75 mix=3:1 unique=true insist=false except=a seed=1 with=features,vector "
        "timeout_ms=9"
    )


def test_what_may_be_repeated() -> None:
    assert verbs.get("c", "a").effect is Effect.READ
    assert verbs.put("c", "a", [1]).effect is Effect.REPEATABLE
    assert verbs.swap("a", "b").effect is Effect.ONCE
    assert verbs.observe("c", 1, ["a"]).effect is Effect.ONCE
    assert verbs.observe("c", 1, ["a"], seq=("w", 1)).effect is Effect.REPEATABLE
    assert verbs.observe_log_q("c", 1, ["a"]).effect is Effect.ONCE
    assert verbs.freqset("c", None, ["a"]).effect is Effect.ONCE
    assert verbs.freqset("c", 1, ["a"]).effect is Effect.REPEATABLE


def test_large_requests_are_divided() -> None:
    small = Verbs()
    small.limits = Limits(max_line_bytes=10_000, max_ids=100)
    parts = words(small.get("c", list(range(250))))
    assert [len(part) - 2 for part in parts] == [100, 100, 50]
    long = [b"%0200d" % number for number in range(99)]
    parts = words(small.log_q("c", long))
    assert [word for part in parts for word in part[2:]] == long
    assert max(sum(map(len, part)) for part in parts) < 10_000


@pytest.mark.parametrize(
    "make",
    [
        lambda: verbs.get("c", []),
        lambda: verbs.get("c", [1.5]),
        lambda: verbs.get("c", True),
        lambda: verbs.put("c", ["a"], [[1], [2]]),
        lambda: verbs.put("c", ["a"], [[[1]]]),
        lambda: verbs.put("c", ["a"], ["x"]),
        lambda: verbs.put("c", ["a"], [[1]], {"x": 1}),
        lambda: verbs.put("c", "a", [1], 7),
        lambda: verbs.put("c", "a", [1], {"x": float("nan")}),
        lambda: verbs.put("c", "a", [1], {"x": object()}),
        lambda: verbs.fset("c", ["a"], [None]),
        lambda: verbs.topk("c", 1),
        lambda: verbs.topk("c", 1, [1], like="a"),
        lambda: verbs.topk("c", 1, [[1], [2]]),
        lambda: verbs.topk("c", 1, [1], columns="color"),
        lambda: verbs.topk("c", 1, [1], radius=float("nan")),
        lambda: verbs.topk_many("c", 1, [[1]], except_ids=[]),
        lambda: verbs.sample("c", 1, columns="rank"),
        lambda: verbs.observe("c", 1, []),
        lambda: verbs.freqset("c", 1, ["a"], [1, 2]),
        lambda: Verbs(decode_ids="float"),
    ],
)
def test_bad_arguments_are_refused(make: Any) -> None:
    with pytest.raises(logq.Unsent):
        make()
