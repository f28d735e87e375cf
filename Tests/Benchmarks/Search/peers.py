"""Measures one library on one data set, for the benchmark `search`.

Reads raw little-endian float32 vectors and the ground truth, builds the index (or loads it, if it
was built before), and prints JSON lines: {"libraries": {name: version}}, {"message": text},
{"measurement": {...}}. Queries run on one thread, pinned to one core.
"""

import argparse
import importlib.metadata
import json
import os
import time

import numpy

K_FEW, K_MANY = 10, 100
LINKS, BUILD_EFFORT = 16, 128
GRAPH_EFFORTS = [16, 32, 64, 128, 256, 512, 1024]
UPDATE_COUNT, UPDATE_BATCH = 2_000, 500


def say(kind, value):
    print(json.dumps({kind: value}), flush=True)


class Peer:
    """A library. `effort` is the setting that trades speed for recall; None leaves the default."""

    efforts = GRAPH_EFFORTS
    effort_name = "ef"
    has_file = True
    batch = None  # Queries in a call; None: all of them in one call.

    def __init__(self, dimension, count, build_threads):
        self.dimension, self.count, self.build_threads = dimension, count, build_threads

    def setting(self, effort):
        return f"{self.effort_name}={effort}"


class HNSWLib(Peer):
    libraries = ["hnswlib"]

    def _empty(self):
        import hnswlib

        return hnswlib.Index("ip", self.dimension)

    def build(self, items):
        self.index = self._empty()
        self.index.init_index(self.count, M=LINKS, ef_construction=BUILD_EFFORT, random_seed=1)
        self.index.add_items(items, num_threads=self.build_threads)

    def save(self, path):
        self.index.save_index(path)

    def load(self, path):
        self.index = self._empty()
        self.index.load_index(path, max_elements=self.count)

    def prepare(self, effort, k):
        self.index.set_ef(max(effort, k))

    def search(self, queries, k):
        return self.index.knn_query(queries, k, num_threads=1)[0]

    def update(self, rows, vectors):
        self.index.add_items(vectors, rows, num_threads=1)


class USearch(Peer):
    libraries = ["usearch"]

    def build(self, items):
        from usearch.index import Index

        self.index = Index(
            ndim=self.dimension,
            metric="ip",
            dtype="f32",
            connectivity=LINKS,
            expansion_add=BUILD_EFFORT,
        )
        self.index.add(numpy.arange(self.count), items, threads=self.build_threads)

    def save(self, path):
        self.index.save(path)

    def load(self, path):
        from usearch.index import Index

        self.index = Index.restore(path)

    def prepare(self, effort, k):
        self.index.expansion_search = max(effort, k)

    def search(self, queries, k):
        return self.index.search(queries, k, threads=1).keys.reshape(len(queries), -1)

    def update(self, rows, vectors):
        self.index.remove(rows)
        self.index.add(rows, vectors, threads=1)


class Faiss(Peer):
    libraries = ["faiss-cpu"]

    def build(self, items):
        import faiss

        faiss.omp_set_num_threads(self.build_threads)
        self.index = self.make(faiss)
        self.index.train(items)
        self.index.add(items)

    def save(self, path):
        import faiss

        faiss.write_index(self.index, path)

    def load(self, path):
        import faiss

        self.index = faiss.read_index(path)

    def search(self, queries, k):
        return self.index.search(queries, k)[1]


class FaissHNSW(Faiss):
    def make(self, faiss):
        index = faiss.IndexHNSWFlat(self.dimension, LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = BUILD_EFFORT
        return index

    def prepare(self, effort, k):
        self.index.hnsw.efSearch = max(effort, k)

    update = None  # It can neither remove nor replace vectors.


class FaissIVF(Faiss):
    effort_name = "nprobe"
    efforts = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]

    def make(self, faiss):
        list_count = max(16, int(4 * self.count**0.5))
        self.quantizer = faiss.IndexFlatIP(self.dimension)
        metric = faiss.METRIC_INNER_PRODUCT
        return faiss.IndexIVFFlat(self.quantizer, self.dimension, list_count, metric)

    def prepare(self, effort, k):
        self.index.nprobe = min(effort, self.index.nlist)

    def update(self, rows, vectors):
        import faiss

        if self.index.direct_map.type != faiss.DirectMap.Hashtable:
            self.index.set_direct_map_type(faiss.DirectMap.Hashtable)
        self.index.remove_ids(rows)
        self.index.add_with_ids(vectors, rows)


class FaissFlat(Faiss):
    """Exact: OpenBLAS sgemm with selection, if a call has several queries."""

    effort_name = "batch"
    efforts = [1, 8, 64]
    has_file = False

    def make(self, faiss):
        return faiss.IndexFlatIP(self.dimension)

    def prepare(self, effort, k):
        import faiss

        self.batch = effort
        faiss.cvar.distance_compute_blas_threshold = 20 if effort == 1 else 1

    def update(self, rows, vectors):
        import faiss

        stored = faiss.rev_swig_ptr(self.index.get_xb(), self.count * self.dimension)
        stored.reshape(self.count, self.dimension)[rows] = vectors


class NumPy(Peer):
    """Exact: sgemm and argpartition, as in code without a search library."""

    libraries = ["numpy"]
    effort_name = "batch"
    efforts = [8, 64]
    has_file = False

    def build(self, items):
        self.items = numpy.array(items)

    def prepare(self, effort, k):
        self.batch = effort

    def search(self, queries, k):
        scores = queries @ self.items.T
        best = numpy.argpartition(scores, -k, axis=1)[:, -k:]
        order = numpy.argsort(-numpy.take_along_axis(scores, best, 1), axis=1)
        return numpy.take_along_axis(best, order, 1)

    def update(self, rows, vectors):
        self.items[rows] = vectors


PEERS = {
    "hnswlib": HNSWLib,
    "usearch": USearch,
    "faiss-hnsw": FaissHNSW,
    "faiss-ivf": FaissIVF,
    "faiss-flat": FaissFlat,
    "numpy": NumPy,
}


def build_or_load(peer, items, path):
    """Builds or loads the index. Returns the seconds of the build and the bytes of the index."""
    if not peer.has_file:
        start = time.perf_counter()
        peer.build(items)
        return time.perf_counter() - start, items.nbytes
    notes = path + ".json"
    if os.path.exists(notes):
        peer.load(path)
        with open(notes) as file:
            return json.load(file)["buildSeconds"], os.path.getsize(path)
    start = time.perf_counter()
    peer.build(items)
    seconds = time.perf_counter() - start
    peer.save(path)
    with open(notes + ".part", "w") as file:
        json.dump({"buildSeconds": seconds}, file)
    os.replace(notes + ".part", notes)
    return seconds, os.path.getsize(path)


def recall(found, truth, k):
    hits = sum(len(numpy.intersect1d(row, best)) for row, best in zip(found, truth[:, :k]))
    return hits / (len(found) * k)


def measure(peer, effort, queries, truth):
    """Recall, rate and latencies at k = 10, and the recall at k = 100.

    The rate is the better one of one call with all queries and of single calls. For exact peers the
    rate and the latencies are those of their batches.
    """
    batch = peer.batch or len(queries)
    parts = [queries[first : first + batch] for first in range(0, len(queries), batch)]
    times, found = [], []
    for part in parts:
        start = time.perf_counter()
        found.append(peer.search(part, K_FEW))
        times.append(time.perf_counter() - start)
    result = {
        "recall10": recall(numpy.concatenate(found), truth, K_FEW),
        "queriesPerSecond": len(queries) / sum(times),
    }
    if peer.batch is None:
        times = []
        for index in range(len(queries)):
            start = time.perf_counter()
            peer.search(queries[index : index + 1], K_FEW)
            times.append(time.perf_counter() - start)
        result["queriesPerSecond"] = max(result["queriesPerSecond"], len(queries) / sum(times))
    result["p50Milliseconds"] = float(numpy.quantile(times, 0.5)) * 1_000
    result["p99Milliseconds"] = float(numpy.quantile(times, 0.99)) * 1_000
    peer.prepare(effort, K_MANY)
    found = [peer.search(part, K_MANY) for part in parts]
    result["recall100"] = recall(numpy.concatenate(found), truth, K_MANY)
    return result


def updates_per_second(peer, items):
    """Replaces vectors with those of other items, in batches, in memory. Returns updates per second."""
    rows = (numpy.arange(UPDATE_COUNT) * 7_919 % len(items)).astype(numpy.int64)
    rows = numpy.unique(rows)
    vectors = items[(rows + 1) % len(items)]
    start = time.perf_counter()
    for first in range(0, len(rows), UPDATE_BATCH):
        peer.update(rows[first : first + UPDATE_BATCH], vectors[first : first + UPDATE_BATCH])
    return len(rows) / (time.perf_counter() - start)


def check_blas(peer):
    """Describes the BLAS that the library uses, and its number of threads."""
    from threadpoolctl import threadpool_info

    folder = "numpy.libs" if isinstance(peer, NumPy) else "faiss_cpu.libs"
    for pool in threadpool_info():
        if pool["user_api"] == "blas" and folder in pool["filepath"]:
            name = f"{pool['internal_api']} {pool['version']} {pool['architecture']}"
            return f"{name}, threads: {pool['num_threads']}"
    return "BLAS unknown"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    for name in ["items", "queries", "truth", "index"]:
        parser.add_argument(f"--{name}", required=True, metavar="FILE")
    for name in ["dimension", "ranks", "build-threads"]:
        parser.add_argument(f"--{name}", required=True, type=int, metavar="N")
    parser.add_argument("--core", type=int, help="the core that runs the queries")
    options = parser.parse_args()

    items = numpy.fromfile(options.items, "<f4").reshape(-1, options.dimension)
    queries = numpy.fromfile(options.queries, "<f4").reshape(-1, options.dimension)
    truth = numpy.fromfile(options.truth, "<u4").reshape(-1, options.ranks).astype(numpy.int64)
    peer = PEERS[options.peer](options.dimension, len(items), options.build_threads)
    say("libraries", {name: importlib.metadata.version(name) for name in peer.libraries})
    build_seconds, byte_count = build_or_load(peer, items, options.index)

    from threadpoolctl import threadpool_limits

    if options.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {options.core})
    with threadpool_limits(1):
        measured = []
        for effort in peer.efforts:
            peer.prepare(effort, K_FEW)
            peer.search(queries[:16], K_FEW)
            measured.append((effort, measure(peer, effort, queries, truth)))
        if not peer.has_file:
            say("message", f"{options.peer}: {check_blas(peer)}")
        updates = updates_per_second(peer, items) if peer.update else None
    for effort, result in measured:
        result |= {
            "subject": options.peer,
            "setting": peer.setting(effort),
            "buildSeconds": build_seconds,
            "bytesPerItem": byte_count / len(items),
            "updatesPerSecond": updates,
        }
        say("measurement", result)


if __name__ == "__main__":
    main()
