"""The stream of a trainer: every observation is counted once, whatever happens to the connection or the daemon."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Any, Optional

import numpy as np
import pytest
from daemon import Daemon
from scripted import ScriptedServer

import logq

OK = b"+OK\r\n"


@pytest.fixture
def client(daemon: Daemon, collection: str) -> Iterator[logq.Client]:
    with logq.Client(daemon.url) as made:
        made.create(collection, 4)
        yield made


def test_a_stream_of_embeddings_and_batches(client: logq.Client, collection: str) -> None:
    vectors = np.random.default_rng(1).normal(size=(5000, 4)).astype(np.float32)
    with logq.Trainer(client, collection, run="one", producer="worker") as trainer:
        for step in range(1, 51):
            trainer.observe(np.arange(step * 10), step)
            trainer.put(np.arange((step - 1) * 100, step * 100), vectors[(step - 1) * 100 : step * 100])
        trainer.put("single", [1, 2, 3, 4], {"x": 1})
        trainer.flush(60)
        stats = trainer.stats
        assert (stats.embeddings, stats.observations, stats.failures) == (5001, 50, 0)
        assert stats.observed_ids == sum(step * 10 for step in range(1, 51))
        assert stats.queued_bytes == 0
    assert (client.get(collection, np.arange(5000)).vectors == vectors).all()
    assert client.fget(collection, "single") == [{"x": 1}]
    assert client.freq(collection, [0, 495]).count.tolist() == [50, 1]
    assert client.clock(collection).runs["one"]["last"] == 50


def test_log_q_in_one_round_trip(client: logq.Client, collection: str) -> None:
    with logq.Trainer(client, collection) as trainer:
        first = trainer.log_q(["a", "b", "a"], 1)
        assert first.dtype == np.float32
        assert first == pytest.approx(np.log([2 / 3, 1 / 3, 2 / 3]))
        assert trainer.log_q(["b"], 2, unit="p", dtype=np.float64).tolist() == [0.0]
        assert trainer.log_q(["b"], None, like=np.zeros(1)).shape == (1,)
        assert trainer.stats.observations == 3
    assert client.freq(collection, ["a", "b"]).count.tolist() == [2, 3]


def test_negatives(client: logq.Client, collection: str) -> None:
    client.put(collection, np.arange(100), np.eye(4)[np.arange(100) % 4] * np.arange(1, 101)[:, None])
    with logq.Trainer(client, collection) as trainer:
        drawn = trainer.negatives(50, columns="vector")
        assert drawn.vectors is not None
        assert drawn.vectors.shape == (50, 4)
        hard = trainer.hard_negatives(
            np.eye(4), 5, positives=[[96], [97], [98], [99]], range_min=3, range_max=20, margin=10, seed=1
        )
        assert len(hard) == 4
        for axis, found in enumerate(hard):
            assert len(found.ids) == 5
            assert found.ranks is not None
            assert found.vectors is not None
            assert set(found.ranks.tolist()) <= set(range(3, 21))
            assert found.scores.max() <= 97 + axis - 10
        nearest = trainer.hard_negatives(np.eye(4)[0], 2, strategy="top")
        assert nearest[0].ids == [b"96", b"92"]


def test_an_error_is_raised_by_the_next_call(client: logq.Client, collection: str) -> None:
    trainer = logq.Trainer(client, collection)
    trainer.put(["a", "b"], np.zeros((2, 3)))
    with pytest.raises(logq.TrainerError) as caught:
        trainer.flush(30)
    assert caught.value.count == 2
    assert isinstance(caught.value.__cause__, logq.WrongDimension)
    trainer.put("a", [1, 2, 3, 4])
    trainer.flush(30)
    trainer.observe(["a"], 1)
    trainer.observe(["a"], 900_000)
    with pytest.raises(logq.TrainerError, match="STEP"):
        trainer.close()
    with pytest.raises(logq.Unsent):
        trainer.put("a", [1, 2, 3, 4])
    assert trainer.stats.failures == 3
    assert client.freq(collection, ["a"]).count.tolist() == [1]


def test_a_full_queue_waits() -> None:
    release = threading.Event()

    def answer(words: list[bytes], number: int) -> bytes:
        release.wait(30)
        return OK

    with ScriptedServer(answer) as server:
        trainer = logq.Trainer(server.url, "c", queue_bytes=700)
        trainer.put(np.arange(10), np.zeros((10, 8)))
        second = threading.Thread(target=trainer.put, args=("b", np.ones(8)))
        second.start()
        second.join(0.2)
        assert second.is_alive()
        assert trainer.stats.queued_bytes <= 700
        with pytest.raises(TimeoutError):
            trainer.flush(0.05)
        release.set()
        second.join(30)
        trainer.close()
        assert trainer.stats.embeddings == 11


def test_a_lost_connection_loses_nothing() -> None:
    """Each connection ends after a few requests, some before and some after they were applied."""
    applied: dict[tuple[bytes, int], bytes] = {}
    embeddings: dict[bytes, bytes] = {}
    lock = threading.Lock()
    counts: dict[int, int] = {}

    def answer(words: list[bytes], number: int) -> Optional[bytes]:
        with lock:
            counts[number] = counts.get(number, 0) + 1
            is_last = counts[number] == 7
            if is_last and number % 2:
                return None
            if words[0] == b"PUT":
                embeddings[words[2]] = words[3]
            else:
                options = dict(word.split(b"=") for word in words[3:-1])
                producer, _, sequence = options[b"seq"].partition(b":")
                last = max((n for name, n in applied if name == producer), default=0)
                if int(sequence) > last:
                    applied[producer, int(sequence)] = words[-1]
            return None if is_last else OK

    with ScriptedServer(answer) as server:
        with logq.Trainer(server.url, "c", patience=30) as trainer:
            for step in range(40):
                trainer.put([f"item-{step % 5}"], [[step]])
                trainer.observe([f"batch-{step}"], step)
        assert sorted(applied.values()) == sorted(b"batch-%d" % step for step in range(40))
        last = {int(np.frombuffer(value, "<f4")[0]) for value in embeddings.values()}
        assert last == {35, 36, 37, 38, 39}
        assert trainer.stats.connections > 5
        assert trainer.stats.repeated > 0


def test_what_was_busy_is_sent_again_in_the_old_order() -> None:
    """An embedding that is sent again must not replace a newer one of the same id."""
    embeddings: dict[bytes, float] = {}
    applied: list[bytes] = []
    random = np.random.default_rng(3)

    def answer(words: list[bytes], number: int) -> bytes:
        if random.random() < 0.2:
            return b"-BUSY the queue is full\r\n"
        if words[0] == b"PUT":
            embeddings[words[2]] = float(np.frombuffer(words[3], "<f4")[0])
        else:
            applied.append(words[-1])
        return OK

    with ScriptedServer(answer) as server:
        with logq.Trainer(server.url, "c") as trainer:
            for step in range(60):
                trainer.put(["same", f"item-{step}"], [[step], [step]])
                trainer.observe([f"batch-{step}"], step)
        assert embeddings[b"same"] == 59
        assert all(embeddings[b"item-%d" % step] == step for step in range(60))
        assert sorted(applied) == sorted(b"batch-%d" % step for step in range(60))
        assert trainer.stats.failures == 0


def test_patience_ends() -> None:
    trainer = logq.Trainer("logq://127.0.0.1:1", "c", patience=0.2)
    trainer.put("a", [1.0])
    with pytest.raises(logq.TrainerError) as caught:
        trainer.flush(30)
    assert isinstance(caught.value.__cause__, logq.ConnectionLost)
    with pytest.raises(logq.ConnectionLost):
        trainer.log_q(["a"], 1)
    trainer.close()


def test_a_killed_daemon_loses_nothing(own_daemon: Daemon) -> None:
    """Kills the daemon in the middle of the stream, again and again, and starts it on the same data."""
    kills = 50 if os.environ.get("LOGQ_TEST_SCALE") == "full" else 3
    random = np.random.default_rng(7)
    steps = 0
    expected_counts = np.zeros(300, np.int64)
    latest = np.zeros(300, np.float32)
    with logq.Client(own_daemon.url, connect_timeout=10, read_retries=8) as client:
        client.create("c", 8)
        trainer = logq.Trainer(client, "c", run="stream")
        done = threading.Event()

        def stream() -> None:
            nonlocal steps
            while not done.is_set():
                steps += 1
                batch = random.integers(0, 300, 64)
                np.add.at(expected_counts, batch, 1)
                if steps % 3:
                    trainer.observe(batch, steps)
                else:
                    trainer.log_q(batch, steps)
                changed = np.unique(batch)
                latest[changed] = steps
                trainer.put(changed, np.repeat(latest[changed, None], 8, axis=1))

        failures: list[BaseException] = []

        def guarded() -> None:
            try:
                stream()
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=guarded)
        thread.start()
        for _ in range(kills):
            before = trainer.stats.observations
            while trainer.stats.observations < before + 10 and not failures:
                time.sleep(0.005)
            time.sleep(random.random() * 0.1)
            own_daemon.kill()
            own_daemon.start()
        done.set()
        thread.join(120)
        assert not failures
        trainer.close()
        assert trainer.stats.observations == steps
        assert trainer.stats.connections > kills
        counts = client.freq("c", np.arange(300)).count
        assert counts.tolist() == expected_counts.tolist()
        result = client.get("c", np.flatnonzero(latest))
        assert (result.vectors == latest[latest > 0][:, None]).all()
        # A further restart, because what is acknowledged must be on disk.
        own_daemon.kill()
        own_daemon.start()
        assert client.freq("c", np.arange(300)).count.tolist() == expected_counts.tolist()


def test_ids_without_room_are_skipped(daemon: Daemon, collection: str) -> None:
    with logq.Client(daemon.url) as client:
        client.create(collection, 1, max_ids=2)
        client.put(collection, ["a", "b"], [[1], [2]])
        with logq.Trainer(client, collection, full="skip") as trainer:
            trainer.observe(["a", "new", "newer"], 1)
            trainer.flush(30)
            assert trainer.log_q(["b", "new"], 2).shape == (2,)
            assert trainer.stats.skipped_ids == 3
        with pytest.raises(logq.TrainerError, match="LIMIT"), logq.Trainer(client, collection) as trainer:
            trainer.observe(["a", "new"], 1)


def test_statistics_are_a_copy(client: logq.Client, collection: str) -> None:
    with logq.Trainer(client, collection) as trainer:
        before: Any = trainer.stats
        trainer.put("a", [1, 2, 3, 4])
        trainer.flush(30)
        assert (before.embeddings, trainer.stats.embeddings) == (0, 1)
