#!/usr/bin/env python3
"""Negatives from logqd, with the probabilities they were drawn with, after trainer.py has run: is the correction right?

    negatives.py [127.0.0.1:5647 | /path/of/socket]

A softmax over all items has a sum over all items below its fraction bar. A trainer draws n negatives instead and gives each the logit
score - ln(n q): the sum of their exponentials is then, on average, the sum over all. Without the correction it is not, by far.
"""
import json, math, socket, sys

N, TAU = 4096, 0.5
WAYS = {"uniform": "by=uniform", "frequency": "by=frequency power=0.75", "mixed": "by=mixed power=0.75 mix=3:1"}


def connect(address):
    host, colon, port = address.rpartition(":")
    if colon:
        return socket.create_connection((host, int(port))).makefile("rwb")
    unix = socket.socket(socket.AF_UNIX)
    unix.connect(address)
    return unix.makefile("rwb")


def ask(logqd, request):
    logqd.write(request.encode() + b"\n")
    logqd.flush()
    status, _, rest = logqd.readline().decode().rstrip("\n").partition(" ")
    if status != "OK":
        raise RuntimeError(f"{request.split()[0]}: {rest}")
    return [logqd.readline().decode().rstrip("\n") for _ in range(int(rest))]


def main():
    logqd = connect(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:5647")
    ids = " ".join(row.split(" ")[1] for row in ask(logqd, "SCAN items limit=16384"))
    for topic in range(5):
        word = ask(logqd, f"GET topics topic-{topic}")[0].split(" ")[1]
        query = json.loads(word)
        scores = [float(row.split(" ")[1]) for row in ask(logqd, f"SCORE items {word} {ids}")]
        found = {"all": math.log(sum(math.exp(score / TAU) for score in scores))}
        for name, way in WAYS.items():
            total = uncorrected = 0
            # One round trip: ids, probabilities and embeddings.
            for row in ask(logqd, f"SAMPLE items {N} {way} seed={topic} with=vector"):
                _, q, _, vector = row.split(" ")
                # Divide by the temperature first, then subtract.
                logit = sum(a * b for a, b in zip(query, json.loads(vector))) / TAU
                total += math.exp(logit - math.log(N * float(q)))
                uncorrected += math.exp(logit)
            found[name] = math.log(total)
        found["uncorrected"] = math.log(uncorrected)
        print(f"topic-{topic}:", *(f"{name} {value:.3f}" for name, value in found.items()))


main()
