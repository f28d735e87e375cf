#!/usr/bin/env python3
"""A two-tower trainer that keeps its items in logqd: a socket and the standard library are enough.

    trainer.py [127.0.0.1:5647 | /path/of/socket]

Five topics, fifty items; item i belongs to topic i % 5 and is drawn with a probability that falls with i. The softmax over each batch is
corrected by log q, which logqd estimates from the stream of batches. service.py asks for the result.
"""
import base64, math, random, socket, struct, sys, uuid

TOPICS, ITEMS, DIM, BATCH, STEPS, TAU, RATE = 5, 50, 8, 32, 150, 0.5, 0.2


def connect(address):
    host, colon, port = address.rpartition(":")
    if colon:
        return socket.create_connection((host, int(port))).makefile("rwb")
    unix = socket.socket(socket.AF_UNIX)
    unix.connect(address)
    return unix.makefile("rwb")


def ask(logqd, *requests):
    """Sends all requests at once and returns the rows of each reply: one round trip."""
    logqd.write("".join(request + "\n" for request in requests).encode())
    logqd.flush()
    replies = []
    for request in requests:
        status, _, rest = logqd.readline().decode().rstrip("\n").partition(" ")
        if status != "OK":
            raise RuntimeError(f"{request.split()[0]}: {rest}")
        replies.append([logqd.readline().decode().rstrip("\n") for _ in range(int(rest))])
    return replies


def put(collection, id, vector):
    return f"PUT {collection} {id} f32:{base64.b64encode(struct.pack(f'<{DIM}f', *vector)).decode()}"


def main():
    logqd = connect(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:5647")
    # A writer's numbers only rise, so each run is a writer of its own: what it sends is never taken for a retry of the last run's.
    writer = f"trainer-{uuid.uuid4().hex[:8]}"
    rng = random.Random(7)
    queries = [[rng.gauss(0, 0.1) for _ in range(DIM)] for _ in range(TOPICS)]
    items = [[rng.gauss(0, 0.1) for _ in range(DIM)] for _ in range(ITEMS)]
    popularity = [1 / (i + 1) for i in range(ITEMS)]
    ask(logqd, f"CREATE topics dim={DIM}", f"CREATE items dim={DIM}")
    ask(logqd, *(put("items", f"item-{i}", items[i]) + f' {{"topic": {i % TOPICS}}}' for i in range(ITEMS)))
    # What is known from yesterday's run: 64 batches in which every item came once. OBSERVE goes on from there.
    ask(logqd, "FREQSET items 0 " + " ".join(f"item-{i} 64 1" for i in range(ITEMS)))

    for step in range(1, STEPS + 1):
        batch = rng.choices(range(ITEMS), popularity, k=BATCH)
        ids = " ".join(f"item-{i}" for i in batch)
        # Numbers begin at 1, wherever steps do.
        rows, = ask(logqd, f"OBSERVE items {step} seq={writer}:{step + 1} return=logq unit=q {ids}")
        log_q = [float(row.split()[1]) for row in rows]
        loss, moves = 0, [(vector, [0] * DIM) for vector in queries + items]
        for positive in batch:
            query = queries[positive % TOPICS]
            # Divide by the temperature first, then subtract log q: from every column, the positive's too.
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


main()
