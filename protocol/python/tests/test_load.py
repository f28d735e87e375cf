"""Files of embeddings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from daemon import Daemon

import logq

VECTORS = np.random.default_rng(1).normal(size=(20_000, 4)).astype(np.float32)


@pytest.fixture
def client(daemon: Daemon, collection: str) -> Iterator[logq.Client]:
    with logq.Client(daemon.url) as made:
        made.create(collection, 4)
        yield made


def test_arrays(client: logq.Client, collection: str, tmp_path: Path, daemon: Daemon) -> None:
    np.save(tmp_path / "a.npy", VECTORS)
    assert logq.load(tmp_path / "a.npy", daemon.url, collection).items == 20_000
    assert (client.get(collection, np.arange(20_000)).vectors == VECTORS).all()
    names = [f"item-{index}" for index in range(20_000)]
    logq.load(str(tmp_path / "a.npy"), client, collection, ids=names, progress=False)
    assert (client.get(collection, names).vectors == VECTORS).all()
    np.savez(tmp_path / "b.npz", vector=VECTORS[:10], id=np.array([f"x{index}" for index in range(10)]))
    logq.load(tmp_path / "b.npz", client, collection)
    assert (client.get(collection, ["x0", "x9"]).vectors == VECTORS[[0, 9]]).all()
    with pytest.raises(logq.Unsent, match="vector"):
        np.savez(tmp_path / "c.npz", other=VECTORS)
        logq.load(tmp_path / "c.npz", client, collection)


def test_json_lines(client: logq.Client, collection: str, tmp_path: Path) -> None:
    lines = [
        {"id": f"j{index}", "vector": row.tolist(), "features": {"n": index}} for index, row in enumerate(VECTORS[:9])
    ]
    del lines[3]["features"]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    assert logq.load(tmp_path / "a.jsonl", client, collection).items == 9
    assert (client.get(collection, ["j0", "j8"]).vectors == VECTORS[[0, 8]]).all()
    assert client.fget(collection, ["j2", "j3"]) == [{"n": 2}, None]
    (tmp_path / "b.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(logq.Unsent, match="vector"):
        logq.load(tmp_path / "b.jsonl", client, collection)


def test_parquet(client: logq.Client, collection: str, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table(
        {"id": ["p1", "p2"], "vector": [row.tolist() for row in VECTORS[:2]], "features": ['{"a":1}', None]}
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    assert logq.load(tmp_path / "a.parquet", client, collection).items == 2
    assert (client.get(collection, ["p1", "p2"]).vectors == VECTORS[:2]).all()
    assert client.fget(collection, ["p1", "p2"]) == [{"a": 1}, None]
    parquet.write_table(pyarrow.table({"vector": [[1.0, 2.0], [3.0]]}), tmp_path / "b.parquet")
    with pytest.raises(logq.Unsent, match="lengths"):
        logq.load(tmp_path / "b.parquet", client, collection)


def test_files_that_cannot_be_loaded(client: logq.Client, collection: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", VECTORS[0])
    for name in ("a.npy", "a.csv"):
        with pytest.raises(logq.Unsent):
            logq.load(tmp_path / name, client, collection)
    np.save(tmp_path / "b.npy", np.zeros((2, 3), np.float32))
    with pytest.raises(logq.WrongDimension):
        logq.load(tmp_path / "b.npy", client, collection)
