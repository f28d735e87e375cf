"""Fixtures: the daemon, and both clients with one set of methods."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daemon import Daemon
from hypothesis import settings

import logq

settings.register_profile("quick", deadline=None, max_examples=60)
settings.register_profile("full", deadline=None, max_examples=2000)
settings.load_profile("full" if os.environ.get("LOGQ_TEST_SCALE") == "full" else "quick")

_names = itertools.count()


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all tests that do not harm it."""
    running = Daemon(tmp_path_factory.mktemp("daemon"))
    yield running
    assert running.stop() == 0


@pytest.fixture
def own_daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that the test may kill."""
    running = Daemon(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def collection() -> str:
    """The name of a collection that no other test has."""
    return f"collection-{next(_names)}"


class BlockingAsyncClient:
    """The methods of :class:`logq.AsyncClient` without ``await``, so that one test is for both clients."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = logq.AsyncClient(*args, **options)

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)

        def method(*args: Any, **options: Any) -> Any:
            returned = attribute(*args, **options)
            if hasattr(returned, "__aiter__"):
                return self._all(returned)
            return self._loop.run_until_complete(returned)

        return method

    def _all(self, pages: Any) -> list[Any]:
        async def collect() -> list[Any]:
            return [page async for page in pages]

        return self._loop.run_until_complete(collect())

    def pipeline(self, raise_errors: bool = True) -> BlockingPipeline:
        return BlockingPipeline(self._loop, self._client.pipeline(raise_errors))

    def close(self) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


class BlockingPipeline:
    def __init__(self, loop: asyncio.AbstractEventLoop, pipeline: logq.AsyncPipeline) -> None:
        self._loop = loop
        self._pipeline = pipeline

    def __enter__(self) -> logq.AsyncPipeline:
        return self._loop.run_until_complete(self._pipeline.__aenter__())

    def __exit__(self, *error: Any) -> None:
        self._loop.run_until_complete(self._pipeline.__aexit__(*error))


KINDS = {"threads": logq.Client, "asyncio": BlockingAsyncClient}


@pytest.fixture(params=list(KINDS))
def make_client(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Makes clients of one kind, and closes them after the test."""
    made: list[Any] = []

    def make(*args: Any, **options: Any) -> Any:
        made.append(KINDS[request.param](*args, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture(params=["unix", "tcp"])
def client(request: pytest.FixtureRequest, daemon: Daemon, make_client: Any) -> Any:
    return make_client(daemon.url if request.param == "unix" else daemon.tcp_url)
