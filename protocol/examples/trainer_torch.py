#!/usr/bin/env python3
"""Trains the two-tower model of trainer_numpy.py with PyTorch, on any device, and prints recall@10.

    pip install torch ./protocol/python    # or: export PYTHONPATH=protocol/python/src
    logqd --data ./data &
    protocol/examples/trainer_torch.py --device cpu

In-batch negatives only. Two lines concern logqd: `log_q` before the loss, and `put` after the step. Both take tensors.
"""

from __future__ import annotations

import argparse
import uuid

import logq
import numpy as np
import torch
from trainer_numpy import BATCH, DATA, DIM, TEMPERATURE, Dependencies
from torch.nn.functional import cross_entropy, normalize


class TwoTowers(torch.nn.Module):
    def __init__(self, data):
        super().__init__()
        self.tokens = torch.nn.EmbeddingBag(data.word_count, DIM, mode="mean")
        self.items = torch.nn.Embedding(data.item_count, DIM)
        for table in (self.tokens, self.items):
            torch.nn.init.normal_(table.weight, std=0.1)

    def queries(self, words, starts):
        return normalize(self.tokens(words, starts))

    def vectors(self, items):
        return normalize(self.items(items))


def words_of(data, packages, device):
    words, starts, _ = data.words_of(packages)
    return torch.from_numpy(words).to(device), torch.from_numpy(starts).to(device)


def train(client, collection, data, uses_log_q, device, steps_max):
    torch.manual_seed(1)
    random = np.random.default_rng(1)
    model = TwoTowers(data).to(device)
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.05, initial_accumulator_value=0.1)
    step = 0
    with logq.Trainer(client, collection) as trainer:
        trainer.put(np.arange(data.item_count), model.vectors(torch.arange(data.item_count, device=device)))
        for _ in range(2):
            pairs = random.permutation(data.training)
            for first in range(0, len(pairs) - BATCH + 1, BATCH):
                if step == steps_max:
                    break
                step += 1
                packages, items = pairs[first : first + BATCH].T
                columns = torch.tensor(items, device=device)
                query = model.queries(*words_of(data, packages, device))
                logits = query @ model.vectors(columns).T / TEMPERATURE
                log_q = trainer.log_q(columns, step, like=logits)
                if uses_log_q:
                    logits = logits - log_q
                # A column that repeats the row's own item is not a negative.
                repeats = (columns == columns[:, None]) ^ torch.eye(BATCH, dtype=torch.bool, device=device)
                positives = torch.arange(BATCH, device=device)
                loss = cross_entropy(logits.masked_fill(repeats, -1e30), positives, reduction="sum")
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                changed = columns.unique()
                trainer.put(changed, model.vectors(changed))
    return model


def recall(client, collection, data, model, device, questions):
    """The share of held-out pairs whose item is among the first ten answers, the known items left out."""
    known, wanted = {}, {}
    for package, item in data.training:
        known.setdefault(package, []).append(item)
    for package, item in data.held_out:
        wanted.setdefault(package, set()).add(item)
    packages = np.array(sorted(wanted)[:questions])
    queries = model.queries(*words_of(data, packages, device))
    excepted = [known.get(package, []) for package in packages]
    answers = client.topk_many(collection, 10, queries, except_ids=excepted, timeout_ms=60_000)
    found = sum(len(wanted[package].intersection(some.ids.tolist())) for package, some in zip(packages, answers))
    return found / sum(len(wanted[package]) for package in packages)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", default="logq://127.0.0.1:5647", help="logq://host:port or logq+unix:///path")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--steps", type=int, default=10**9, help="the most steps of a run")
    parser.add_argument("--questions", type=int, default=4_000, help="packages to evaluate")
    options = parser.parse_args()
    data = Dependencies(DATA, np.random.default_rng(1))
    with logq.Client(options.url, decode_ids="int") as client:
        for uses_log_q in (False, True):
            collection = f"trainer-{uuid.uuid4().hex[:8]}"
            client.create(collection, DIM, metric="dot")
            try:
                model = train(client, collection, data, uses_log_q, options.device, options.steps)
                found = recall(client, collection, data, model, options.device, options.questions)
            finally:
                client.drop(collection)
            print(f"{'with' if uses_log_q else 'without'} log q: recall@10 {found:.3f}", flush=True)


if __name__ == "__main__":
    main()
