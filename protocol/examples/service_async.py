#!/usr/bin/env python3
"""The service of service.py with asyncio and the package `logq`. Run trainer.py first.

    pip install ./protocol/python          # or: export PYTHONPATH=protocol/python/src
    protocol/examples/service_async.py logq://127.0.0.1:5647

It answers five users at a time: each task has a connection of the pool while it waits for a reply.
"""

import argparse
import asyncio

import logq


async def recommend(client, topic):
    """The lines for one topic: the best items for its embedding, without the most popular one."""
    user = await client.get("topics", [f"topic-{topic}"])
    best = await client.topk("items", 5, user.vectors[0], except_ids=["item-0"], columns=["log_q", "features"])
    lines = [f"topic-{topic}:"]
    for item, score, log_q, features in zip(best.ids, best.scores, best.log_q, best.features):
        lines.append(f"  {item} topic {features['topic']} score {score:.2f} log q {log_q:.2f}")
    return lines


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", default="logq://127.0.0.1:5647", help="logq://host:port or logq+unix:///path")
    async with logq.AsyncClient(parser.parse_args().url, decode_ids="str") as client:
        for lines in await asyncio.gather(*(recommend(client, topic) for topic in range(5))):
            print(*lines, sep="\n")
        async with client.pipeline() as pipeline:
            alike = pipeline.topk("items", 3, like="item-7")
            missing = pipeline.get("items", ["item-7000"])
        print("like item-7:", *alike.result().ids)
        print("item-7000 found:", bool(missing.result().found[0]))


if __name__ == "__main__":
    asyncio.run(main())
