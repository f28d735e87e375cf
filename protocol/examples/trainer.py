#!/usr/bin/env python3
"""A two-tower trainer that stores its embeddings in logqd.

There are five topics and fifty items. Item i belongs to topic i % 5; the larger i is, the more rarely it is drawn. The
softmax over each batch is corrected by log q, which logqd estimates from the stream of batches. service.py searches the
result. It can run again on the same daemon, and then counts go on. It needs only a socket and the standard library.
"""
import argparse, base64, math, random, socket, struct, threading, uuid

TOPICS, ITEMS, DIM, BATCH, STEPS, TAU, RATE = 5, 50, 8, 32, 150, 0.5, 0.2


def address():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", nargs="?", default="127.0.0.1:5647", help="host:port, or the path of a socket")
    return parser.parse_args().address


def connect(address):
    host, colon, port = address.rpartition(":")
    if colon:
        return socket.create_connection((host, int(port))).makefile("rwb")
    unix = socket.socket(socket.AF_UNIX)
    unix.connect(address)
    return unix.makefile("rwb")


def ask(logqd, *requests):
    """Sends all requests in one round trip, and returns the rows of each reply. Raises the first error at the end."""
    # The daemon stops reading while its replies are not read. So another thread sends, and this one reads meanwhile.
    sender = threading.Thread(target=send, args=(logqd, requests), daemon=True)
    sender.start()
    replies, errors = [], []
    for request in requests:
        status, _, rest = logqd.readline().decode().rstrip("\n").partition(" ")
        if status not in ("OK", "ERR"):
            raise ConnectionError(f"{request.split()[0]}: the connection ended")
        if status == "ERR":
            errors.append(f"{request.split()[0]}: {rest}")
        # Read the replies after an error too. Otherwise the next request would get them.
        replies.append([logqd.readline().decode().rstrip("\n") for _ in range(int(rest) if status == "OK" else 0)])
    sender.join()
    if errors:
        raise RuntimeError(errors[0])
    return replies


def send(logqd, requests):
    try:
        for request in requests:
            logqd.write(request.encode() + b"\n")
        logqd.flush()
    except OSError:
        pass  # The reader finds the end of the connection.


def put(collection, id, vector):
    return f"PUT {collection} {id} f32:{base64.b64encode(struct.pack(f'<{DIM}f', *vector)).decode()}"


def observe(run, step, ids):
    """The request that counts a batch and answers its log q. Sent again, it is not counted twice."""
    # A producer's numbers are 1 or more; a step may be 0.
    return f"OBSERVE items {step} run={run} seq=trainer:{step + 1} return=logq unit=q {ids}"


def main():
    logqd = connect(address())
    # Each run begins with step 1 and number 1 again, so it takes a new name. logqd then counts its first step as now.
    run = f"run-{uuid.uuid4().hex[:8]}"
    rng = random.Random(7)
    queries = [[rng.gauss(0, 0.1) for _ in range(DIM)] for _ in range(TOPICS)]
    items = [[rng.gauss(0, 0.1) for _ in range(DIM)] for _ in range(ITEMS)]
    popularity = [1 / (i + 1) for i in range(ITEMS)]
    ask(logqd, f"CREATE topics dim={DIM} if_missing=true", f"CREATE items dim={DIM} if_missing=true")
    ask(logqd, *(put("items", f"item-{i}", items[i]) + f' {{"topic": {i % TOPICS}}}' for i in range(ITEMS)))

    for step in range(1, STEPS + 1):
        batch = rng.choices(range(ITEMS), popularity, k=BATCH)
        ids = " ".join(f"item-{i}" for i in batch)
        rows, = ask(logqd, observe(run, step, ids))
        log_q = [float(row.split()[1]) for row in rows]
        loss, moves = 0, [(vector, [0] * DIM) for vector in queries + items]
        for positive in batch:
            query = queries[positive % TOPICS]
            # Divide by the temperature first, then subtract log q from every column, the positive's included.
            logits = [sum(a * b for a, b in zip(query, items[i])) / TAU - log_q[n] for n, i in enumerate(batch)]
            total = sum(math.exp(logit) for logit in logits)
            loss -= math.log(sum(math.exp(l) for l, i in zip(logits, batch) if i == positive) / total) / BATCH
            for logit, i in zip(logits, batch):
                pull = (i == positive) / batch.count(positive) - math.exp(logit) / total
                for d in range(DIM):
                    moves[positive % TOPICS][1][d] += RATE / TAU * pull * items[i][d] / BATCH
                    moves[TOPICS + i][1][d] += RATE / TAU * pull * query[d]
        for vector, move in moves:
            vector[:] = [x + min(1, max(-1, m)) for x, m in zip(vector, move)]
        ask(logqd, *(put("items", f"item-{i}", items[i]) for i in set(batch)),
            *(put("topics", f"topic-{t}", queries[t]) for t in range(TOPICS)))
        if step in (1, STEPS):
            print(f"step {step} loss {loss:.3f}")
    for row in ask(logqd, "FREQ items batch=32 item-0 item-49")[0]:
        print(row)


if __name__ == "__main__":
    main()
