#!/usr/bin/env python3
"""Measures the client with a daemon of its own: `PYTHONPATH=src python tests/speed.py`. It asserts nothing.

For each call it prints the best and the median time, and how much of it this process and the daemon used the CPU.
"""

from __future__ import annotations

import os
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Callable

import numpy as np
from daemon import Daemon

import logq

ITEMS, DIM = 100_000, 64
STREAMED = 800_000


class Meter:
    """The CPU time of this process and of the daemon."""

    def __init__(self, daemon: Daemon) -> None:
        self._path = Path(f"/proc/{daemon.pid}/stat")
        self._ticks = os.sysconf("SC_CLK_TCK")

    def read(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Seconds of wall time, of this process, and of the daemon."""
        own = resource.getrusage(resource.RUSAGE_SELF)
        fields = self._path.read_text().rpartition(")")[2].split() if self._path.exists() else ["0"] * 13
        daemon = (int(fields[11]) + int(fields[12])) / self._ticks
        return np.array([time.perf_counter(), own.ru_utime + own.ru_stime, daemon])

    def measure(self, name: str, call: Callable[[], object], repeats: int) -> None:
        call()
        before = self.read()
        times = []
        for _ in range(repeats):
            begin = time.perf_counter()
            call()
            times.append((time.perf_counter() - begin) * 1e3)
        _, own, daemon = (self.read() - before) / repeats * 1e3
        print(
            f"{name:28} best {min(times):7.2f} ms  median {statistics.median(times):7.2f} ms  "
            f"CPU: client {own:6.2f} ms, daemon {daemon:6.2f} ms",
            flush=True,
        )

    def stream(self, name: str, count: int, call: Callable[[], object]) -> None:
        before = self.read()
        call()
        seconds, own, daemon = self.read() - before
        print(
            f"{name:28} {count / seconds:,.0f} embeddings/s  "
            f"CPU: client {own / count * 1e6:.2f} us, daemon {daemon / count * 1e6:.2f} us",
            flush=True,
        )


def main() -> None:
    random = np.random.default_rng(1)
    vectors = random.normal(size=(ITEMS, DIM)).astype(np.float32)
    ids = [b"item-%d" % index for index in range(ITEMS)]
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(Path(folder))
        try:
            with logq.Client(daemon.url) as client:
                measure(Meter(daemon), client, ids, vectors, random)
        finally:
            daemon.stop()


def measure(meter: Meter, client: logq.Client, ids: list[bytes], vectors: Any, random: np.random.Generator) -> None:
    client.create("items", DIM)
    client.put("items", ids, vectors)
    some = [ids[index] for index in random.integers(0, ITEMS, 4096)]
    batch = [ids[index] for index in np.minimum(random.zipf(1.2, 8192) - 1, ITEMS - 1)]
    for step in range(1, 21):
        client.observe("items", step, [ids[index] for index in np.minimum(random.zipf(1.2, 8192) - 1, ITEMS - 1)])
    steps = iter(range(21, 1000))
    meter.measure("ping", client.ping, 500)
    meter.measure("get 1", lambda: client.get("items", some[:1]), 500)
    meter.measure("get 4,096", lambda: client.get("items", some), 200)
    meter.measure("log_q 8,192", lambda: client.log_q("items", batch), 100)
    meter.measure("observe_log_q 8,192", lambda: client.observe_log_q("items", next(steps), batch), 100)
    meter.measure("freq 1,024", lambda: client.freq("items", some[:1024]), 50)
    meter.measure("score 8,192", lambda: client.score("items", vectors[0], batch), 50)
    meter.measure("topk 100", lambda: client.topk("items", 100, vectors[0], columns="rank,log_q"), 50)
    meter.measure("sample 4,096 with vectors", lambda: client.sample("items", 4096, columns="vector"), 50)
    with logq.Trainer(client, "items") as trainer:
        for size in (512, 4096):

            def stream(size: int = size) -> None:
                for start in range(0, STREAMED, size):
                    place = start % (ITEMS - size)
                    trainer.put(ids[place : place + size], vectors[place : place + size])
                trainer.flush()

            meter.stream(f"Trainer.put, {size:,} at a time", STREAMED, stream)


if __name__ == "__main__":
    main()
