#!/usr/bin/env python3
"""Draws negatives from logqd and checks that their probabilities correct the softmax. Run trainer.py first.

The denominator of a softmax is a sum over all items. A trainer draws n negatives instead, and gives each the logit
score - ln(n q). The sum of their exponentials is then, on average, the sum over all items. Without the correction it is
far off. For each topic this prints the logarithms: of the sum over all items, of the corrected sum for each way to
draw, and of the last way's sum without the correction.
"""
import argparse, json, math, socket

N, TAU = 4096, 0.5
WAYS = {"uniform": "by=uniform", "frequency": "by=frequency power=0.75", "mixed": "by=mixed power=0.75 mix=3:1"}


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


def ask(logqd, request):
    logqd.write(request.encode() + b"\n")
    logqd.flush()
    status, _, rest = logqd.readline().decode().rstrip("\n").partition(" ")
    if status != "OK":
        raise RuntimeError(f"{request.split()[0]}: {rest}")
    return [logqd.readline().decode().rstrip("\n") for _ in range(int(rest))]


def main():
    logqd = connect(address())
    ids = " ".join(row.split(" ")[1] for row in ask(logqd, "SCAN items limit=16384"))
    for topic in range(5):
        word = ask(logqd, f"GET topics topic-{topic}")[0].split(" ")[1]
        query = json.loads(word)
        scores = [float(row.split(" ")[1]) for row in ask(logqd, f"SCORE items {word} {ids}")]
        found = {"all": math.log(sum(math.exp(score / TAU) for score in scores))}
        for name, way in WAYS.items():
            total = uncorrected = 0
            # One request answers ids, probabilities and embeddings.
            for row in ask(logqd, f"SAMPLE items {N} {way} seed={topic} with=vector"):
                _, q, _, vector = row.split(" ")
                # The temperature divides the score only, not the correction.
                logit = sum(a * b for a, b in zip(query, json.loads(vector))) / TAU
                total += math.exp(logit - math.log(N * float(q)))
                uncorrected += math.exp(logit)
            found[name] = math.log(total)
        found["uncorrected"] = math.log(uncorrected)
        print(f"topic-{topic}:", *(f"{name} {value:.3f}" for name, value in found.items()))


if __name__ == "__main__":
    main()
