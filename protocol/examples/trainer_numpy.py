#!/usr/bin/env python3
"""Trains a two-tower model with numpy and the package `logq`, without and with log q, and prints recall@10.

A Debian package is a query, and what it depends on are the items to find. A tower of the query averages the embeddings
of the words of the package's name; a tower of the items has an embedding for each dependency. The other pairs of a
batch are the negatives. `libc6` is in nearly every batch, so without log q the model learns to avoid it.

    pip install ./protocol/python          # or: export PYTHONPATH=protocol/python/src
    logqd --data ./data &
    protocol/examples/trainer_numpy.py --negatives in-batch,mixed,hard

Each run makes a collection of its own, and drops it in the end. All four runs take a few minutes on two cores.
"""

from __future__ import annotations

import argparse
import re
import time
import uuid
from collections import Counter
from pathlib import Path

import logq
import numpy as np

DATA = Path(__file__).resolve().parents[2] / "Sources/DependencyDemo/Data/debian-12-dependencies.tsv"
DIM, BATCH, TEMPERATURE, RATE = 48, 1_024, 0.07, 0.05
UNIFORM = 512  # Items that a step of `mixed` draws.
HARD_ROWS, HARD, RANK_MIN, RANK_MAX = 5, 2, 101, 500  # Rows of a step of `hard`, and the negatives of each.
MASKED = -1e30


class Dependencies:
    """The pairs of a package and a dependency, both as numbers, and the words of each package's name."""

    def __init__(self, path, random):
        lines = [line.split("\t") for line in path.read_text().splitlines()]
        names = sorted({name for line in lines for name in line[2].split()})
        number = {name: index for index, name in enumerate(names)}
        pairs = np.array([(row, number[name]) for row, line in enumerate(lines) for name in line[2].split()])
        random.shuffle(pairs)
        cut = len(pairs) // 10
        self.held_out, self.training = pairs[:cut], pairs[cut:]
        self.item_count = len(names)
        words = [re.findall("[a-z0-9]+", f"{line[0]} {line[1]}") for line in lines]
        counts = Counter(word for some in words for word in some)
        vocabulary = {word: index for index, (word, _) in enumerate(counts.most_common(20_000))}
        self.word_count = len(vocabulary)
        numbers = [[vocabulary[word] for word in some if word in vocabulary] or [0] for some in words]
        # The words of all packages one after another, and where those of each begin.
        self.words = np.concatenate([np.array(some) for some in numbers])
        self.lengths = np.array(list(map(len, numbers)))
        self.starts = np.cumsum(self.lengths) - self.lengths

    def words_of(self, packages):
        """The words of these packages one after another, and where those of each begin."""
        lengths = self.lengths[packages]
        starts = np.cumsum(lengths) - lengths
        places = np.repeat(self.starts[packages] - starts, lengths) + np.arange(lengths.sum())
        return self.words[places], starts, lengths


class Table:
    """Embeddings with Adagrad: one accumulator for each row."""

    def __init__(self, rows, random):
        self.values = random.normal(0, 0.1, (rows, DIM)).astype(np.float32)
        self.sums = np.full(rows, 0.1, np.float32)

    def apply(self, rows, gradients):
        """Moves rows, which may repeat. Returns those that changed."""
        order = np.argsort(rows, kind="stable")
        changed, starts = np.unique(rows[order], return_index=True)
        total = np.add.reduceat(gradients[order], starts)
        self.sums[changed] += (total**2).mean(axis=1)
        self.values[changed] -= RATE / np.sqrt(self.sums[changed])[:, None] * total
        return changed


def normalized(vectors):
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors / lengths, lengths


def through_norm(unit, lengths, gradient):
    """The gradient with respect to x, from that with respect to x / |x|."""
    return (gradient - unit * (unit * gradient).sum(axis=1, keepdims=True)) / lengths


class Model:
    def __init__(self, data, random):
        self.data = data
        self.tokens = Table(data.word_count, random)
        self.items = Table(data.item_count, random)

    def queries(self, packages):
        words, starts, lengths = self.data.words_of(packages)
        return normalized(np.add.reduceat(self.tokens.values[words], starts) / lengths[:, None])

    def step(self, packages, columns, corrections, owners):
        """One step. Row b's positive is column b. A column with an owner counts only for that row; -1 is no owner.

        Returns the loss and the items that changed.
        """
        rows = np.arange(len(packages))
        query, query_lengths = self.queries(packages)
        item, item_lengths = normalized(self.items.values[columns])
        # Divide by the temperature first, then subtract from every column, the positive's included.
        logits = query @ item.T / TEMPERATURE - corrections
        # A column that repeats the row's own item is not a negative.
        is_masked = columns == columns[rows, None]
        is_masked[:, len(rows) :] |= (owners >= 0) & (owners != rows[:, None])
        is_masked[rows, rows] = False
        logits[is_masked] = MASKED
        logits -= logits.max(axis=1, keepdims=True)
        positive = logits[rows, rows].copy()
        np.exp(logits, out=logits)
        total = logits.sum(axis=1)
        gradient = logits / (total[:, None] * TEMPERATURE)
        gradient[rows, rows] -= 1 / TEMPERATURE
        query_gradient = through_norm(query, query_lengths, gradient @ item)
        item_gradient = through_norm(item, item_lengths, gradient.T @ query)
        words, _, lengths = self.data.words_of(packages)
        self.tokens.apply(words, np.repeat(query_gradient / lengths[:, None], lengths, axis=0))
        return (np.log(total) - positive).mean(), self.items.apply(columns, item_gradient)


def train(client, data, name, uses_log_q, negatives, epochs, steps_max, questions):
    """Trains a model, with all embeddings in the daemon at every step. Returns recall@10."""
    random = np.random.default_rng(1)
    model = Model(data, random)
    positives = {}
    for package, item in data.training:
        positives.setdefault(package, []).append(item)
    collection = f"trainer-{uuid.uuid4().hex[:8]}"
    client.create(collection, DIM, metric="dot")
    step, loss, begin = 0, 0.0, time.monotonic()
    try:
        with logq.Trainer(client, collection) as trainer:
            trainer.put(np.arange(data.item_count), normalized(model.items.values)[0])
            for _ in range(epochs):
                pairs = random.permutation(data.training)
                for first in range(0, len(pairs) - BATCH + 1, BATCH):
                    if step == steps_max:
                        break
                    step += 1
                    packages, batch = pairs[first : first + BATCH].T
                    log_q = trainer.log_q(batch, step)
                    columns, owners = batch, np.array([], int)
                    if negatives == "mixed":
                        # q* = (B q + B' / M) / (B + B') is the probability of an item in any of the columns.
                        drawn = trainer.negatives(UNIFORM, columns="log_q", seed=step)
                        columns = np.concatenate([batch, drawn.ids])
                        log_q = np.concatenate([log_q, drawn.log_q])
                        log_q = np.log((BATCH * np.exp(log_q) + UNIFORM * drawn.q[0]) / (BATCH + UNIFORM))
                        owners = np.full(UNIFORM, -1)
                    elif negatives == "hard":
                        # The ranks are those of the embeddings now.
                        trainer.flush()
                        queries = model.queries(packages[:HARD_ROWS])[0]
                        known = [positives[package] for package in packages[:HARD_ROWS]]
                        found = trainer.hard_negatives(
                            queries,
                            HARD,
                            positives=known,
                            range_min=RANK_MIN,
                            range_max=RANK_MAX,
                            columns=(),
                            seed=step,
                        )
                        columns = np.concatenate([batch, *(some.ids for some in found)])
                        owners = np.repeat(np.arange(HARD_ROWS), [len(some.ids) for some in found])
                        # A row draws HARD of the items in the range, each with the same probability.
                        share = np.log(HARD / ((RANK_MAX - RANK_MIN + 1) * BATCH))
                        log_q = np.concatenate([log_q, np.full(len(owners), share)])
                    corrections = log_q.astype(np.float32) if uses_log_q else np.float32(0)
                    loss, changed = model.step(packages, columns, corrections, owners)
                    trainer.put(changed, normalized(model.items.values[changed])[0])
            trainer.flush()
            stats = trainer.stats
        recall = evaluate(client, collection, model, data, positives, questions)
    finally:
        client.drop(collection)
    seconds = time.monotonic() - begin
    print(
        f"{name:24} loss {loss:5.2f}  recall@10 {recall:.3f}  "
        f"({step} steps, {stats.embeddings} embeddings, {seconds:.0f} s)",
        flush=True,
    )
    return recall


def evaluate(client, collection, model, data, positives, questions):
    """The share of held-out pairs whose item is among the first ten answers, the known items left out."""
    wanted = {}
    for package, item in data.held_out:
        wanted.setdefault(package, set()).add(item)
    packages = np.array(sorted(wanted)[:questions])
    known = [positives.get(package, []) for package in packages]
    answers = client.topk_many(collection, 10, model.queries(packages)[0], except_ids=known, timeout_ms=60_000)
    found = sum(len(wanted[package].intersection(some.ids.tolist())) for package, some in zip(packages, answers))
    return found / sum(len(wanted[package]) for package in packages)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", default="logq://127.0.0.1:5647", help="logq://host:port or logq+unix:///path")
    parser.add_argument("--negatives", default="in-batch,mixed,hard", help="runs with log q, separated by commas")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10**9, help="the most steps of a run")
    parser.add_argument("--questions", type=int, default=4_000, help="packages to evaluate")
    options = parser.parse_args()
    data = Dependencies(DATA, np.random.default_rng(1))
    with logq.Client(options.url, decode_ids="int") as client:
        arguments = (options.epochs, options.steps, options.questions)
        without = train(client, data, "without log q", False, "in-batch", *arguments)
        for negatives in options.negatives.split(","):
            recall = train(client, data, f"{negatives}, log q", True, negatives, *arguments)
            print(f"  {recall / without:.1f} times the recall without log q", flush=True)


if __name__ == "__main__":
    main()
