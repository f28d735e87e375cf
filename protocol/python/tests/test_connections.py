"""Lost connections, timeouts and bounds."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path
from typing import Any, Optional

import pytest
from daemon import Daemon
from scripted import ScriptedServer

import logq

OK = b"+OK\r\n"


def found(words: list[bytes]) -> bytes:
    return b"*1\r\n*2\r\n$1\r\na\r\n$4\r\n\x00\x00\x80?\r\n"


def test_a_read_is_repeated_after_the_connection_ends(make_client: Any) -> None:
    with ScriptedServer(lambda words, number: None if number < 3 else found(words)) as server:
        assert make_client(server.url).get("c", "a").found.all()
        assert len(server.requests) == 3


def test_a_read_is_repeated_only_a_few_times(make_client: Any) -> None:
    with ScriptedServer(lambda words, number: None) as server:
        with pytest.raises(logq.ConnectionLost) as caught:
            make_client(server.url, read_retries=1).get("c", "a")
        assert not caught.value.may_be_applied
        assert len(server.requests) == 2


@pytest.mark.parametrize("call", ["put", "observe", "swap"])
def test_a_write_is_not_repeated(make_client: Any, call: str) -> None:
    arguments = {"put": ("c", "a", [1.0]), "observe": ("c", 1, ["a"]), "swap": ("a", "b")}[call]
    with ScriptedServer(lambda words, number: None) as server:
        with pytest.raises(logq.ConnectionLost) as caught:
            getattr(make_client(server.url), call)(*arguments)
        assert caught.value.may_be_applied
        assert len(server.requests) == 1


def test_a_write_is_repeated_if_the_user_asks_and_the_protocol_allows_it(make_client: Any) -> None:
    with ScriptedServer(lambda words, number: None if number == 1 else OK) as server:
        make_client(server.url, repeat_writes=True).put("c", "a", [1.0])
        assert len(server.requests) == 2
    with ScriptedServer(lambda words, number: None if number == 1 else OK) as server:
        make_client(server.url, repeat_writes=True).observe("c", 1, ["a"], seq=("w", 1))
        assert len(server.requests) == 2
    with ScriptedServer(lambda words, number: None) as server:
        client = make_client(server.url, repeat_writes=True)
        with pytest.raises(logq.ConnectionLost):
            client.observe("c", 1, ["a"])
        with pytest.raises(logq.ConnectionLost):
            client.swap("a", "b")
        assert len(server.requests) == 2


def test_a_pipeline_keeps_the_results_before_the_connection_ended(make_client: Any) -> None:
    def answer(words: list[bytes], number: int) -> Optional[bytes]:
        return None if words[2] == b"b" else OK

    with ScriptedServer(answer) as server:
        with make_client(server.url).pipeline(raise_errors=False) as pipeline:
            for name in "abc":
                pipeline.put("c", name, [1.0])
        assert pipeline.results[0] is None
        for error in pipeline.results[1:]:
            assert isinstance(error, logq.ConnectionLost)
            assert error.may_be_applied
        assert len(server.requests) == 2


def test_a_pipeline_of_reads_is_repeated(make_client: Any) -> None:
    with ScriptedServer(lambda words, number: None if number == 1 else found(words)) as server:
        with make_client(server.url).pipeline() as pipeline:
            pipeline.get("c", "a")
            pipeline.get("c", "a")
        assert all(result.found.all() for result in pipeline.results)


def test_no_daemon(make_client: Any, tmp_path: Path) -> None:
    for url in ("logq://127.0.0.1:1", f"logq+unix://{tmp_path}/nothing"):
        with pytest.raises(logq.ConnectionLost) as caught:
            make_client(url, read_retries=0).put("c", "a", [1.0])
        assert not caught.value.may_be_applied


def test_a_reply_that_does_not_come_is_a_timeout(make_client: Any) -> None:
    release = threading.Event()

    def answer(words: list[bytes], number: int) -> Optional[bytes]:
        if number == 1:
            release.wait(10)
        return OK if words[0] == b"PUT" else found(words)

    with ScriptedServer(answer) as server:
        client = make_client(server.url, request_timeout=0.2)
        begin = time.monotonic()
        with pytest.raises(logq.Timeout) as caught:
            client.put("c", "a", [1.0])
        assert time.monotonic() - begin < 5
        assert caught.value.may_be_applied
        # The late reply must not be taken for that of the next request.
        assert client.get("c", "a").found.all()
        release.set()


def test_a_daemon_that_does_not_greet_is_a_timeout(make_client: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = make_client(f"logq://127.0.0.1:{silent.getsockname()[1]}", connect_timeout=0.2, read_retries=0)
        with pytest.raises(logq.Timeout):
            client.ping()


def test_another_server_is_refused(make_client: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def serve() -> None:
            connection, _ = other.accept()
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            time.sleep(0.2)
            connection.close()

        threading.Thread(target=serve, daemon=True).start()
        client = make_client(f"logq://127.0.0.1:{other.getsockname()[1]}", read_retries=0)
        with pytest.raises(logq.ProtocolError):
            client.ping()


def test_a_reply_over_the_limit_is_refused(make_client: Any) -> None:
    reply = b"$99999999\r\n" + bytes(3_000_000)
    with ScriptedServer(lambda words, number: reply) as server, pytest.raises(logq.ProtocolError):
        make_client(server.url).info()


def test_bytes_that_nobody_asked_for_are_refused(make_client: Any) -> None:
    with ScriptedServer(lambda words, number: OK + OK) as server:
        client = make_client(server.url)
        with pytest.raises(logq.Error):
            for _ in range(100):
                client.put("c", "a", [1.0])
                time.sleep(0.01)
                if server.connections > 1:
                    # The extra reply came later, and the connection was replaced.
                    raise logq.ProtocolError


def test_a_full_pool_is_an_error_after_the_timeout(make_client: Any) -> None:
    release = threading.Event()

    def answer(words: list[bytes], number: int) -> bytes:
        release.wait(20)
        return OK

    with ScriptedServer(answer) as server, logq.Client(server.url, max_connections=1, request_timeout=1) as client:
        client._prepare()
        client.options.request_timeout = 20
        blocked = threading.Thread(target=client.put, args=("c", "a", [1.0]))
        blocked.start()
        while not server.requests:
            time.sleep(0.01)
        client.options.request_timeout = 0.1
        with pytest.raises(logq.PoolExhausted):
            client.ping()
        release.set()
        blocked.join()


def test_a_closed_client_is_not_used(make_client: Any, daemon: Daemon) -> None:
    client = make_client(daemon.url)
    client.ping()
    client.close = lambda: None
    closing = getattr(client, "_client", client)
    closing._pool.close()
    with pytest.raises(logq.Unsent):
        client.ping()


def test_a_restarted_daemon_is_found_again(make_client: Any, own_daemon: Daemon) -> None:
    client = make_client(own_daemon.url)
    client.create("c", 1)
    client.put("c", "a", [7.0])
    own_daemon.kill()
    own_daemon.start()
    # The idle connection has ended, which is seen before the write is sent.
    client.put("c", "b", [8.0])
    assert client.get("c", ["a", "b"]).vectors.tolist() == [[7.0], [8.0]]


def test_a_daemon_without_room_for_connections(make_client: Any, tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, ("--max-connections", "1"))
    try:
        first, second = make_client(daemon.url), make_client(daemon.url)
        first.ping()
        with pytest.raises(logq.LimitExceeded):
            second.ping()
    finally:
        daemon.stop()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_process_makes_connections_of_its_own(daemon: Daemon) -> None:
    with logq.Client(daemon.url) as client:
        client.ping()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                client.ping()
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        client.ping()
