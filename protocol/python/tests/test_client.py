"""Every verb with the real daemon, for threads and for asyncio, over both kinds of sockets."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from daemon import Daemon
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import logq
from logq.verbs import Verbs

any_id = st.binary(min_size=1, max_size=255)


@pytest.fixture
def songs(client: Any, collection: str) -> str:
    """A collection with the three songs of the protocol's page."""
    client.create(collection, 2)
    client.put(collection, "yesterday", [1, 0.5], {"year": 1965})
    client.put(collection, ["help!", "let it be"], [[1, 0], [-0.25, 2]])
    return collection


def test_connection(client: Any) -> None:
    assert client.ping() is None
    greeting = client.hello()
    assert greeting["server"] == "logqd"
    assert greeting["max-ids"] == 16_384
    assert any(row.startswith("PING") for row in client.help())
    assert client.help("scan")[0].startswith("SCAN c ")
    assert client.info("server")["pid"].isdigit()
    assert client.info()["max-ids"] == "16384"
    with pytest.raises(logq.BadRequest):
        client.info("weather")
    with pytest.raises(logq.UnknownVerb):
        client.help("nothing")


def test_collections(client: Any, collection: str) -> None:
    client.create(collection, 3, metric="cosine", half_life=500, max_ids=10)
    client.create(collection, 3, metric="cosine", half_life=500, max_ids=10, if_missing=True)
    with pytest.raises(logq.Exists):
        client.create(collection, 3)
    sketch = collection + "-sketch"
    client.create(sketch, 2, estimator="sketch", buckets=64, hashes=2, seed=7)
    listed = {found.name: found for found in client.collections()}
    made = listed[collection]
    assert (made.dim, made.metric, made.half_life, made.max_ids, made.buckets) == (3, "cosine", 500, 10, None)
    assert (listed[sketch].buckets, listed[sketch].hashes, listed[sketch].half_life) == (64, 2, None)
    client.swap(collection, sketch)
    assert {found.name: found.dim for found in client.collections()}[collection] == 2
    client.drop(sketch)
    client.drop(collection)
    with pytest.raises(logq.NoCollection) as caught:
        client.drop(collection)
    assert caught.value.code == "NOCOLLECTION"
    assert collection in caught.value.message


def test_items(client: Any, songs: str) -> None:
    result = client.get(songs, ["help!", "nothing", "yesterday"])
    assert result.found.tolist() == [True, False, True]
    assert result.vectors.tolist() == [[1, 0], [0, 0], [1, 0.5]]
    assert result.vectors.dtype == np.float32
    assert client.get(songs, "nothing").vectors.shape == (1, 0)
    assert client.fget(songs, ["yesterday", "help!"]) == [{"year": 1965}, None]
    assert client.fget(songs, "yesterday", raw=True) == [b'{"year":1965}']
    assert client.delete(songs, ["help!", "nothing"]).tolist() == [True, False]
    page = client.scan(songs, limit=1)
    assert (page.rows.tolist(), page.ids) == ([0], [b"yesterday"])
    assert client.scan(songs, after=0).ids == [b"let it be"]
    assert [id for page in client.scan_all(songs, limit=1) for id in page.ids] == [b"yesterday", b"let it be"]


def test_features(client: Any, songs: str) -> None:
    client.fset(songs, ["a", "b"], [{"x": 1, "y": "é"}, '{"x":[1,2]}'])
    client.fset(songs, "a", {"z": None, "x": 2}, merge=True)
    assert client.fget(songs, ["a", "b", "c"]) == [{"x": 2, "y": "é"}, {"x": [1, 2]}, None]
    assert client.fget(songs, ["a", "b"], fields=["y"]) == [{"y": "é"}, {}]
    with pytest.raises(logq.BadRequest):
        client.fset(songs, "a", b"[1]")
    with pytest.raises(logq.LimitExceeded):
        client.fset(songs, "a", {"x": "y" * 900_000})


def test_observations(client: Any, collection: str) -> None:
    client.create(collection, 1)
    assert client.observe(collection, 1, ["apple", "pear", "plum"]) == []
    client.observe(collection, 2, ["apple"], seq=("w", 1))
    client.observe(collection, 2, ["apple"], seq=("w", 1))
    client.observe(collection, 4, ["apple", "apple", "fig", "fig"])
    found = client.freq(collection, ["apple", "pear", "kiwi"], batch=4)
    assert found.q.tolist() == [0.5, 0.125, 0.0625]
    assert found.p.tolist() == [2 / 3, 0.25, 0.125]
    assert found.expected.tolist() == [2, 0.5, 0.25]
    assert found.gap[0] == 1.5
    assert np.isnan(found.gap[1:]).all()
    assert found.count.tolist() == [4, 1, 0]
    assert found.last.tolist() == [4, 1, -1]
    assert found.states.tolist() == ["seen", "once", "unseen"]
    logs = client.log_q(collection, ["apple", "pear", "kiwi"])
    assert logs.log_q.tolist() == [-0.6931471805599453, -2.0794415416798357, -2.772588722239781]
    assert logs.states.tolist() == ["seen", "once", "unseen"]
    assert client.log_q(collection, ["apple"], unit="p").log_q.tolist() == [np.log(2 / 3)]
    returned = client.observe_log_q(collection, 5, ["apple", "fig"], unit="expected", batch=10, strength=2)
    assert (
        returned.log_q == client.log_q(collection, ["apple", "fig"], unit="expected", batch=10, strength=2).log_q
    ).all()
    with pytest.raises(logq.BadStep):
        client.observe(collection, 900_000, ["apple"])
    client.observe(collection, 900_000, ["apple"], jump=True)
    client.clockset(collection, 5)
    client.observe(collection, 1, ["apple"], run="second", seq=("w", 1))
    clock = client.clock(collection)
    assert (clock.first_step, clock.last_step, clock.half_life) == (1, 6, None)
    assert clock.runs["second"] == {"last": 1, "clock": 6}
    assert clock.producers["second/w"] == {"last": 1, "step": 1}


def test_estimates_are_set(client: Any, collection: str) -> None:
    client.create(collection, 1)
    client.freqset(collection, 9, ["a=b", "--", "c"], [2, float("nan"), 4], [3, 5, float("nan")])
    found = client.freq(collection, ["a=b", "--", "c"])
    assert found.count.tolist() == [3, 5, 0]
    assert found.last.tolist() == [9, 9, 9]
    assert found.gap[[0, 2]].tolist() == [2, 4]
    pages = list(client.popular_all(collection, 2))
    assert [id for page in pages for id in page.ids] == [b"--", b"a=b", b"c"]
    assert [count for page in pages for count in page.counts] == [5, 3, 0]
    assert pages[0].step == 9


def test_an_observation_that_is_not_counted(client: Any, collection: str) -> None:
    client.create(collection, 1, max_ids=2)
    client.put(collection, ["a", "b"], [[1], [2]])
    assert client.observe(collection, 1, ["a", "new", "x=y"], full="skip") == [b"new", b"x=y"]
    with pytest.raises(logq.LimitExceeded):
        client.observe(collection, 1, ["new"])


def test_search(client: Any, songs: str) -> None:
    best = client.topk(songs, 2, [1, 1])
    assert best.ids == [b"let it be", b"yesterday"]
    assert best.scores.tolist() == [1.75, 1.5]
    assert best.vectors is None
    full = client.topk(songs, 3, np.array([1, 1]), except_ids=["let it be"], columns="rank,vector,log_q,features")
    assert full.ranks.tolist() == [1, 2]
    assert full.vectors.tolist() == [[1, 0.5], [1, 0]]
    assert full.features == [{"year": 1965}, None]
    assert np.isfinite(full.log_q).all()
    assert client.topk(songs, 5, like="help!").ids == [b"yesterday", b"let it be"]
    assert client.topk(songs, 5, [1, 1], radius=100, columns="vector").ids == []
    many = client.topk_many(songs, 1, [[1, 1], [1, -1]], except_ids=[["let it be"], []])
    assert [found.ids for found in many] == [[b"yesterday"], [b"help!"]]
    scores = client.score(songs, [1, 1], ["help!", "x=y", "yesterday"])
    assert scores.found.tolist() == [True, False, True]
    assert scores.scores[[0, 2]].tolist() == [1, 1.5]
    with pytest.raises(logq.NoItem):
        client.topk(songs, 1, like="nothing")
    with pytest.raises(logq.WrongDimension):
        client.topk(songs, 1, [1, 1, 1])
    with pytest.raises(logq.BadVector):
        client.topk(songs, 1, [float("nan"), 1])


def test_samples(client: Any, songs: str) -> None:
    drawn = client.sample(songs, 5, seed=3, columns=["vector", "log_q", "features"])
    assert len(drawn.ids) == 5
    assert drawn.q.tolist() == [1 / 3] * 5
    assert drawn.expected == pytest.approx([5 / 3] * 5)
    assert drawn.vectors.shape == (5, 2)
    assert len(drawn.features) == 5
    assert client.sample(songs, 5, seed=3).ids == drawn.ids
    only = client.sample(songs, 5, except_ids=["help!", "let it be"], unique=True)
    assert only.ids == [b"yesterday"]
    with pytest.raises(logq.NoItem):
        client.sample(songs, 5, unique=True, insist=True)
    with pytest.raises(logq.BadRequest):
        client.sample(songs, 2, by="mixed")
    client.observe(songs, 1, ["help!", "help!", "yesterday"])
    mixed = client.sample(songs, 100, by="mixed", power=0.5, mix=(3, 1))
    assert len(mixed.ids) == 100
    assert client.sample(songs, 10, by="recent", unique=True).ids


def test_a_vector_that_spells_words(client: Any, collection: str) -> None:
    client.create(collection, 2)
    rows = [b"like=abc", b"[1.5,20]", b"f32:AAAA", b"f32:\x01\x02\x03\x04", b"seed=123", b"\r\n\r\n_\r\n$"]
    vectors = np.frombuffer(b"".join(rows), "<f4").reshape(-1, 2)
    names = [b"%d" % index for index in range(len(rows))]
    client.put(collection, names, vectors)
    assert client.get(collection, names).vectors.tobytes() == b"".join(rows)
    for name, row in zip(names, vectors):
        single = client.score(collection, row, [name])
        assert single.found.all()
        assert client.topk(collection, 1, row).scores[0] >= single.scores[0]


def test_ids_of_one_byte(client: Any, collection: str) -> None:
    client.create(collection, 1)
    names = [bytes([byte]) for byte in range(256)]
    client.put(collection, names, np.arange(256)[:, None])
    assert client.get(collection, names).vectors.ravel().tolist() == list(range(256))
    client.observe(collection, 1, names)
    assert set(client.log_q(collection, names).states.tolist()) == {"once"}
    assert client.topk(collection, 300, [1], except_ids=names[:100]).ids == names[:99:-1]
    assert client.delete(collection, names).all()


@pytest.fixture(scope="module")
def property_client(daemon: Daemon) -> Iterator[logq.Client]:
    with logq.Client(daemon.url) as made:
        made.create("properties", 3, if_missing=True)
        yield made


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(any_id, st.tuples(*[st.floats(width=32, allow_nan=False, allow_infinity=False)] * 3), min_size=1)
)
def test_what_is_put_is_read(property_client: logq.Client, items: dict[bytes, tuple[float, ...]]) -> None:
    names = list(items)
    vectors = np.array(list(items.values()), np.float32)
    property_client.put("properties", names, vectors)
    result = property_client.get("properties", [*names, *names[::-1]])
    assert result.vectors.tobytes() == np.concatenate([vectors, vectors[::-1]]).tobytes()
    property_client.observe("properties", None, names)
    assert "unseen" not in property_client.log_q("properties", names).states
    property_client.fset("properties", names, [{"id": name.hex()} for name in names])
    assert [found["id"] for found in property_client.fget("properties", names)] == [name.hex() for name in names]
    single = names[0]
    assert single not in property_client.topk("properties", 5, like=single).ids
    assert property_client.sample("properties", 1, except_ids=names[1:], seed=1).ids != names[1:]


def test_decoded_ids(daemon: Daemon, make_client: Any, collection: str) -> None:
    text, number = make_client(daemon.url, decode_ids="str"), make_client(daemon.url, decode_ids="int")
    text.create(collection, 1)
    number.put(collection, np.array([7, 8]), [[1], [2]])
    assert text.scan(collection).ids == ["7", "8"]
    best = number.topk(collection, 2, [1])
    assert best.ids.dtype == np.int64
    assert best.ids.tolist() == [8, 7]


def test_pipelines_keep_the_order_and_every_error(client: Any, songs: str) -> None:
    with client.pipeline(raise_errors=False) as pipeline:
        first = pipeline.get(songs, "help!")
        second = pipeline.get("nothing", "a")
        third = pipeline.put(songs, ["a", "b"], [[1, 2], [3, 4]])
        fourth = pipeline.put(songs, ["c", "d"], [[1, 2, 3], [4, 5, 6]])
        fifth = pipeline.log_q(songs, ["a", "b"])
        with pytest.raises(logq.Unsent):
            first.result()
    assert first.result().found.all()
    with pytest.raises(logq.NoCollection):
        second.result()
    assert third.result() is None
    with pytest.raises(logq.WrongDimension) as caught:
        fourth.result()
    assert sorted(caught.value.failures) == [0, 1]
    assert fifth.result().log_q.shape == (2,)
    assert len(pipeline.results) == 5
    assert isinstance(pipeline.results[1], logq.NoCollection)
    with pytest.raises(logq.NoCollection), client.pipeline() as pipeline:
        pipeline.get("nothing", "a")
        pipeline.put(songs, "e", [1, 2])
    assert client.get(songs, "e").found.all()


def test_a_pipeline_that_is_left_by_an_exception_sends_nothing(client: Any, songs: str) -> None:
    with pytest.raises(ZeroDivisionError), client.pipeline() as pipeline:
        pipeline.delete(songs, "help!")
        raise ZeroDivisionError
    assert client.get(songs, "help!").found.all()


def test_long_pipelines_do_not_block(client: Any, collection: str) -> None:
    """Both sides have far more to send than fits into the buffers of a socket."""
    client.create(collection, 64)
    vectors = np.random.default_rng(1).normal(size=(2000, 64)).astype(np.float32)
    client.put(collection, np.arange(2000), vectors)
    with client.pipeline() as pipeline:
        for _ in range(30):
            pipeline.get(collection, np.arange(2000))
            pipeline.put(collection, np.arange(2000), vectors)
    for result in pipeline.results[::2]:
        assert (result.vectors == vectors).all()


def test_more_ids_than_a_request_has(client: Any, collection: str) -> None:
    client.create(collection, 1)
    names = np.arange(40_000)
    client.put(collection, names[::2], names[::2, None])
    result = client.get(collection, names)
    assert (result.found == (names % 2 == 0)).all()
    assert (result.vectors[::2, 0] == names[::2]).all()
    assert client.log_q(collection, names).log_q.shape == (40_000,)


def test_threads_share_a_client(daemon: Daemon, collection: str) -> None:
    errors: list[BaseException] = []
    with logq.Client(daemon.url, max_connections=3) as client:
        client.create(collection, 2)

        def work(thread: int) -> None:
            try:
                for index in range(100):
                    client.put(collection, f"{thread}-{index}", [thread, index])
                    result = client.get(collection, [f"{thread}-{index}"])
                    assert result.vectors.tolist() == [[thread, index]]
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        assert client._pool._count <= 3


def test_every_verb_is_in_each_client_with_its_documentation() -> None:
    for name, verb in inspect.getmembers(Verbs, inspect.isfunction):
        if name.startswith("_"):
            continue
        assert verb.__doc__
        for kind in (logq.Client, logq.AsyncClient, logq.Pipeline, logq.AsyncPipeline):
            method = getattr(kind, name)
            assert method.__doc__ == verb.__doc__
            signature = inspect.signature(method)
            assert signature.parameters == inspect.signature(verb).parameters
            assert "Call" not in str(signature.return_annotation)
