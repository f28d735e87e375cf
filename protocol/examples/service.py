#!/usr/bin/env python3
"""A service that searches the embeddings that trainer.py has stored in logqd. Run trainer.py first.

It needs only a socket and the standard library.
"""
import argparse, json, socket


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
    for topic in range(5):
        # GET answers a vector in a form that TOPK accepts, so the word is passed on unchanged.
        id, vector = ask(logqd, f"GET topics topic-{topic}")[0].split(" ")
        print(f"{id}:")
        for row in ask(logqd, f"TOPK items 5 except=item-0 with=logq,features {vector}"):
            # Features are the last column. They may contain spaces.
            item, score, log_q, features = row.split(" ", 3)
            print(f"  {item} topic {json.loads(features)['topic']} score {float(score):.2f} log q {float(log_q):.2f}")
    print("like item-7:", *(row.split(" ")[0] for row in ask(logqd, "TOPK items 3 like=item-7")))
    print("missing:", *ask(logqd, "GET items item-7000"))


if __name__ == "__main__":
    main()
