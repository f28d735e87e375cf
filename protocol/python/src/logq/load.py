"""Loads files of embeddings into a collection."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from .client import Client
from .errors import Unsent

_ROWS = 8_192


@dataclass(frozen=True)
class LoadResult:
    """What was loaded."""

    items: int
    seconds: float


@dataclass
class _Part:
    """Some items of a file. ``ids`` of None means the numbers from ``start`` on."""

    start: int
    vectors: Any
    ids: Any = None
    features: Optional[list[Any]] = None


def load(
    path: Union[str, Path],
    client: Union[Client, str],
    collection: str,
    *,
    ids: Any = None,
    id_column: str = "id",
    vector_column: str = "vector",
    features_column: str = "features",
    progress: bool = True,
) -> LoadResult:
    """Puts all items of a file into a collection that exists. The client may also be the URL of the daemon.

    - ``.npy``: an array [n, dim]. It is mapped, not read at once.
    - ``.npz``: arrays named ``vector_column`` [n, dim], and perhaps ``id_column`` [n].
    - ``.parquet``, with pyarrow: these columns, and perhaps ``features_column`` with JSON text or structs.
    - ``.jsonl``, ``.ndjson``: lines such as ``{"id": "a", "vector": [0.5, 1], "features": {"year": 1970}}``.

    ``ids`` gives the ids of all items. Without it and without a column, ids are the numbers from 0 on. With tqdm,
    ``progress`` shows a bar.

    Repeating a load that broke off is safe. Errors are those of :meth:`Client.put`; items before the error are loaded.

    Cost: about 250,000 items of 64 numbers a second from ``.npy``. Memory: a few thousand items at a time.
    """
    file = Path(path)
    owned = Client(client) if isinstance(client, str) else None
    target = owned or client
    assert isinstance(target, Client)
    begin = time.monotonic()
    count = 0
    total, parts = _open(file, id_column, vector_column, features_column)
    bar = _bar(total, file.name) if progress else None
    try:
        for part in parts:
            size = len(part.vectors)
            names = part.ids
            if ids is not None:
                names = ids[part.start : part.start + size]
            elif names is None:
                names = np.arange(part.start, part.start + size)
            target.put(collection, names, part.vectors, part.features)
            count += size
            if bar is not None:
                bar.update(size)
    finally:
        if bar is not None:
            bar.close()
        if owned is not None:
            owned.close()
    if ids is not None and len(ids) != count:
        raise Unsent(f"got {len(ids)} ids for {count} items")
    return LoadResult(count, time.monotonic() - begin)


def _bar(total: Optional[int], name: str) -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=total, desc=name, unit=" items")


def _open(file: Path, id: str, vector: str, features: str) -> tuple[Optional[int], Iterator[_Part]]:
    kind = file.suffix.lower()
    if kind == ".npy":
        array = np.load(file, mmap_mode="r")
        if array.ndim != 2:
            raise Unsent(f"got an array of shape {array.shape} in {file}, expected [n, dim]")
        return len(array), _slices(array, None)
    if kind == ".npz":
        with np.load(file) as archive:
            if vector not in archive:
                raise Unsent(f"got the arrays {' '.join(archive.files)} in {file}, expected {vector!r}")
            vectors = archive[vector]
            return len(vectors), _slices(vectors, archive.get(id))
    if kind == ".parquet":
        return _parquet(file, id, vector, features)
    if kind in (".jsonl", ".ndjson"):
        return None, _json_lines(file, id, vector, features)
    raise Unsent(f"got {file.name!r}, expected .npy, .npz, .parquet, .jsonl or .ndjson")


def _slices(vectors: Any, ids: Any) -> Iterator[_Part]:
    for start in range(0, len(vectors), _ROWS):
        part = slice(start, start + _ROWS)
        yield _Part(start, vectors[part], None if ids is None else ids[part])


def _parquet(file: Path, id: str, vector: str, features: str) -> tuple[int, Iterator[_Part]]:
    try:
        from pyarrow import compute, parquet
    except ImportError:
        raise Unsent("got a parquet file, but pyarrow is not installed: pip install pyarrow") from None
    opened = parquet.ParquetFile(file)
    present = set(opened.schema_arrow.names)
    if vector not in present:
        raise Unsent(f"got the columns {' '.join(sorted(present))} in {file}, expected {vector!r}")

    columns = [name for name in (id, vector, features) if name in present]

    def parts() -> Iterator[_Part]:
        start = 0
        for batch in opened.iter_batches(_ROWS, columns=columns):
            column = batch.column(vector)
            lengths = set(compute.list_value_length(column).to_pylist())
            if len(lengths) != 1 or None in lengths:
                raise Unsent(f"got vectors of different lengths in {file}")
            # The numbers of all lists are one array.
            numbers = column.flatten().to_numpy(zero_copy_only=False)
            vectors = np.asarray(numbers, np.float32).reshape(len(batch), -1)
            names = batch.column(id).to_pylist() if id in present else None
            extra = batch.column(features).to_pylist() if features in present else None
            yield _Part(start, vectors, names, extra)
            start += len(batch)

    return opened.metadata.num_rows, parts()


def _json_lines(file: Path, id: str, vector: str, features: str) -> Iterator[_Part]:
    with file.open("rb") as lines:
        start = 0
        for rows in _blocks(line for line in lines if line.strip()):
            items = [json.loads(row) for row in rows]
            try:
                vectors = [item[vector] for item in items]
                names = [item[id] for item in items] if all(id in item for item in items) else None
            except (KeyError, TypeError) as error:
                raise Unsent(f"got a line without {error} after item {start} of {file}") from None
            yield _Part(start, vectors, names, [item.get(features) for item in items])
            start += len(items)


def _blocks(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    block: list[bytes] = []
    for line in lines:
        block.append(line)
        if len(block) == _ROWS:
            yield block
            block = []
    if block:
        yield block
