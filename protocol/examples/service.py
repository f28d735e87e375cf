#!/usr/bin/env python3
"""A service that asks logqd for what trainer.py taught it: a socket and the standard library are enough.

    service.py [127.0.0.1:5647 | /path/of/socket]
"""
import json, socket, sys


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
    for topic in range(5):
        # GET answers in the notation that TOPK takes: the word can be handed on as it is.
        id, vector = ask(logqd, f"GET topics topic-{topic}")[0].split(" ")
        print(f"{id}:")
        for row in ask(logqd, f"TOPK items 5 except=item-0 with=logq,features {vector}"):
            # Features come last and run to the end of the line.
            item, score, log_q, features = row.split(" ", 3)
            print(f"  {item} topic {json.loads(features)['topic']} score {float(score):.2f} log q {float(log_q):.2f}")
    print("like item-7:", *(row.split(" ")[0] for row in ask(logqd, "TOPK items 3 like=item-7")))
    print("missing:", *ask(logqd, "GET items item-7000"))


main()
