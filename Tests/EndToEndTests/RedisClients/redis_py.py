"""Runs every verb through redis-py: blocking and asyncio, RESP2 and RESP3, with and without hiredis.

usage: redis_py.py PORT
"""

import asyncio
import struct
import sys

import redis
import redis.asyncio
from redis._parsers import _AsyncHiredisParser, _AsyncRESP2Parser, _AsyncRESP3Parser
from redis._parsers import _HiredisParser, _RESP2Parser, _RESP3Parser

try:
    import hiredis  # noqa: F401

    HIREDIS = [False, True]
except ImportError:
    HIREDIS = [False]

ANY_BYTES = [bytes([byte]) for byte in range(256)] + [b"\r\n$1\r\n", b"a b", b"%41", b"seq=w:1", b"--", b"\xff" * 255]


def requests(protocol):
    """Each request with its reply, which depends on the version of RESP."""
    three = protocol == 3
    number = (lambda value: float(value)) if three else (lambda value: repr(value).encode())
    whole, zero = (1.0, 0.0) if three else (b"1", b"0")
    flag = (lambda value: bool(value)) if three else int
    raw = struct.pack("<2f", 1, 0.5)

    def named(**values):
        pairs = [(name.encode(), value) for name, value in values.items()]
        return dict(pairs) if three else [part for pair in pairs for part in pair]

    yield ("ECHO", b"\0\r\n"), b"\0\r\n"
    yield ("SELECT", 0), b"OK"
    yield ("CREATE", "c", "dim=2"), b"OK"
    yield ("CREATE", "d", "like=c"), b"OK"
    yield ("PUT", "c", b"a b", "[1,0.5]", '{"x": [1,\n2]}'), b"OK"
    yield ("PUT", "c", "raw", raw), b"OK"
    yield ("PUT", "c", "64", "f32:AACAPwAAAD8="), b"OK"
    yield ("GET", "c", b"a b", "raw", "64", "none"), [
        [b"a b", b"[1,0.5]"], [b"raw", b"[1,0.5]"], [b"64", b"[1,0.5]"], [b"none", None],
    ]
    yield ("FGET", "c", b"a b", "raw"), [[b"a b", b'{"x":[1,2]}'], [b"raw", None]]
    yield ("FSET", "c", "raw", "merge=true", '{"y":1}'), b"OK"
    yield ("FGET", "c", "fields=y", "raw"), [[b"raw", b'{"y":1}']]
    yield ("DEL", "c", "64", "none"), [[b"64", flag(1)], [b"none", flag(0)]]
    yield ("SCAN", "c", "limit=1"), [[0, b"a b"]]
    yield ("OBSERVE", "c", 1, "raw", "raw"), b"OK"
    yield ("OBSERVE", "c", 2, "seq=w:1", "return=logq", "unit=p", "--", "raw"), [[b"raw", zero, b"seen"]]
    yield ("OBSERVE", "c", 3, "full=skip", "raw"), []
    yield ("LOGQ", "c", "unit=p", "raw"), [[b"raw", zero, b"seen"]]
    yield ("FREQ", "c", "none"), [
        [b"none", named(q=number(0.125), p=number(1 / 6), expected=None, gap=None, count=zero, last=None, state=b"unseen")],
    ]
    yield ("FREQSET", "c", 4, "raw", 2, "-"), b"OK"
    yield ("POPULAR", "c", 1), [[b"raw", 4.0 if three else b"4", 4]]
    yield ("CLOCKSET", "c", 3), b"OK"
    yield ("TOPK", "c", 1, "with=rank,vector,features", "[1,0]"), [[b"a b", whole, 1, b"[1,0.5]", b'{"x":[1,2]}']]
    yield ("TOPK", "c", 9, "except=a%20b", "like=raw"), []
    yield ("SCORE", "c", raw, b"a b", "none"), [[b"a b", number(1.25)], [b"none", None]]
    yield ("SWAP", "c", "d"), b"OK"
    yield ("GET", "c", "raw"), [[b"raw", None]]
    yield ("DROP", "c"), b"OK"
    yield ("HELLO", protocol, "vectors=raw"), ...
    yield ("GET", "d", "raw"), [[b"raw", raw]]
    yield ("COLLECTIONS",), ...
    yield ("CLOCK", "d"), ...
    yield ("SAMPLE", "d", 2, "seed=1"), ...
    yield ("INFO",), ...
    yield ("HELP",), ...
    yield ("PING",), ...
    yield ("CLIENT", "SETNAME", "me"), ...
    yield ("CLIENT", "GETNAME"), ...
    yield ("CLIENT", "ID"), ...


def check(request, expected, got):
    assert expected is ... or got == expected or (expected == b"OK" and got is True), (request, expected, got)


def pipelined():
    """A thousand writes, and the reads of the same ids."""
    vectors = {item: struct.pack("<2f", index + 1, -index) for index, item in enumerate(ANY_BYTES)}
    items = (ANY_BYTES * 4)[:1000]
    writes = [("PUT", "d", item, vectors[item]) for item in items]
    return writes, [("GET", "d", "--", *ANY_BYTES)], [[item, vectors[item]] for item in ANY_BYTES]


def blocking(port, protocol, parser):
    pool = redis.ConnectionPool(port=port, protocol=protocol, parser_class=parser, max_connections=1)
    client = redis.Redis(connection_pool=pool)
    del client.response_callbacks["SCAN"]  # it would take the reply for one of Redis
    for request, expected in requests(protocol):
        check(request, expected, client.execute_command(*request))
    for code, request in errors():
        try:
            client.execute_command(*request)
            raise AssertionError(f"{request} is no error")
        except redis.ResponseError as error:
            assert str(error).startswith(code), error
    assert client.info()["version"]
    assert client.command_count() == 30
    writes, reads, expected = pipelined()
    pipeline = client.pipeline(transaction=False)
    for request in writes + reads:
        pipeline.execute_command(*request)
    replies = pipeline.execute()
    assert set(replies[:-1]) <= {b"OK", True} and replies[-1] == expected
    client.execute_command("DROP", "d")
    client.close()


async def asynchronous(port, protocol, parser):
    pool = redis.asyncio.ConnectionPool(port=port, protocol=protocol, parser_class=parser, max_connections=1)
    client = redis.asyncio.Redis(connection_pool=pool)
    del client.response_callbacks["SCAN"]
    for request, expected in requests(protocol):
        check(request, expected, await client.execute_command(*request))
    writes, reads, expected = pipelined()
    pipeline = client.pipeline(transaction=False)
    for request in writes + reads:
        pipeline.execute_command(*request)
    replies = await pipeline.execute()
    assert set(replies[:-1]) <= {b"OK", True} and replies[-1] == expected
    await client.execute_command("DROP", "d")
    await client.aclose()
    await pool.disconnect()


def errors():
    yield "UNKNOWN", ("SET", "a", "b")
    yield "NOCOLLECTION", ("GET", "nowhere", "a")
    yield "DIM", ("PUT", "d", "a", "[1]")
    yield "BADREQUEST", ("SELECT", 1)
    yield "BADID", ("GET", "d", "x" * 256)


def main():
    port = int(sys.argv[1])
    for protocol in (2, 3):
        for uses_hiredis in HIREDIS:
            parsers = (_RESP2Parser, _AsyncRESP2Parser) if protocol == 2 else (_RESP3Parser, _AsyncRESP3Parser)
            if uses_hiredis:
                parsers = (_HiredisParser, _AsyncHiredisParser)
            blocking(port, protocol, parsers[0])
            asyncio.run(asynchronous(port, protocol, parsers[1]))
            print(f"RESP{protocol} hiredis={uses_hiredis}: all replies are right")


main()
