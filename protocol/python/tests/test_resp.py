"""The codec alone: every byte in ids, and replies that arrive in pieces of any size."""

from __future__ import annotations

import math
import struct
from typing import Any, Optional

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logq import ProtocolError, ServerError, resp
from logq.decimals import decimals
from logq.resp import Acknowledgements, LineRows, Reader, Table, VectorRows

any_id = st.binary(min_size=1, max_size=255)
hard_id = st.one_of(any_id, st.sampled_from([b"\r\n", b"\n", b"$1\r\na", b"-ERR\r\n", b"_\r\n", b"*2\r\n", b"a=b"]))
ids = st.lists(hard_id, min_size=1, max_size=80)
# Where to cut the bytes into pieces.
cuts = st.lists(st.integers(0, 5000), max_size=30)


def feed(reader: Reader, reply: bytes, places: list[int], after: bytes = b"") -> Any:
    """Gives the reader a growing buffer. What follows the reply must stay."""
    before = b"earlier"
    buffer = bytearray(before)
    position = -1
    rest = reply + after
    bounds = sorted({min(place, len(rest)) for place in places} | {0, len(rest)})
    for start, end in zip(bounds, bounds[1:]):
        assert position < 0 or start >= len(reply)
        buffer += rest[start:end]
        if position < 0:
            position = reader.read(buffer, len(before))
    assert position == len(before) + len(reply)
    return reader.result


def bulk(value: Optional[bytes]) -> bytes:
    return b"_\r\n" if value is None else resp.bulk(value)


def encode(value: Any) -> bytes:
    if value is None:
        return b"_\r\n"
    if isinstance(value, bool):
        return b"#t\r\n" if value else b"#f\r\n"
    if isinstance(value, int):
        return b":%d\r\n" % value
    if isinstance(value, float):
        return b"," + repr(value).encode() + b"\r\n"
    if isinstance(value, bytes):
        return bulk(value)
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(map(encode, value))
    assert isinstance(value, dict)
    return b"%%%d\r\n" % len(value) + b"".join(encode(key) + encode(item) for key, item in value.items())


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.binary()),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(st.binary(), inner, max_size=4)),
    max_leaves=20,
)


def depth(value: Any) -> int:
    inner = value if isinstance(value, list) else value.values() if isinstance(value, dict) else []
    return 1 + max(map(depth, inner), default=0) if isinstance(value, (list, dict)) else 0


@given(values.filter(lambda value: depth(value) <= resp.DEPTH_MAX), cuts, st.binary(max_size=20))
def test_any_reply_in_pieces(value: Any, places: list[int], after: bytes) -> None:
    assert feed(Reader(), encode(value), places, after) == value


@given(values.filter(lambda value: depth(value) <= resp.DEPTH_MAX))
def test_any_reply_byte_by_byte(value: Any) -> None:
    reply = encode(value)
    assert feed(Reader(), reply, list(range(len(reply)))) == value


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for reader in (Reader(), Acknowledgements(2), VectorRows([b"a", b"bc"]), LineRows([b"a", b"bc"], "nw")):
        try:
            position = reader.read(bytearray(data), 0)
        except ProtocolError:
            continue
        assert position <= len(data)


@given(st.sampled_from([b"*2\r\n*2\r\n$1\r\na\r\n", b"*2\r\n*3\r\n$1\r\na\r\n", b"+OK\r\n"]), st.binary(max_size=200))
def test_any_bytes_after_a_good_beginning_are_read_or_refused(begin: bytes, data: bytes) -> None:
    for reader in (Acknowledgements(2), VectorRows([b"a", b"bc"]), LineRows([b"a", b"bc"], "nw")):
        try:
            position = reader.read(bytearray(begin + data), 0)
        except ProtocolError:
            continue
        assert position <= len(begin + data)


@pytest.mark.parametrize(
    "reply",
    [
        b"?\r\n",
        b"\r\n",
        b":x\r\n",
        b",x\r\n",
        b"$x\r\n",
        b"$3\r\nabcde",
        b"*1\r\n" * 20,
        b":" + b"1" * 70_000,
    ],
)
def test_wrong_replies_are_refused(reply: bytes) -> None:
    with pytest.raises(ProtocolError):
        Reader().read(bytearray(reply), 0)


def test_an_error_has_the_class_of_its_code() -> None:
    error = feed(Reader(), b"-NOCOLLECTION there is no collection 'a'\r\n", [3])
    assert type(error).__name__ == "NoCollection"
    assert (error.code, error.message) == ("NOCOLLECTION", "there is no collection 'a'")
    unknown = feed(Reader(), b"-NEWCODE text\r\n", [])
    assert type(unknown) is ServerError
    assert unknown.code == "NEWCODE"


# Requests


@given(ids)
def test_requests_read_as_arrays_of_their_words(some: list[bytes]) -> None:
    head = [b"GET", b"songs"]
    assert feed(Reader(), resp.request(head, some), []) == head + some


@given(
    ids,
    st.integers(1, 40),
    st.randoms(use_true_random=False),
    st.booleans(),
    st.sampled_from([b"f32:", b"[1,]", b"", b"a=", b"ab=", b"abc=", b"abcd=", b"_A1="]),
)
def test_puts_read_as_arrays(some: list[bytes], dim: int, random: Any, has_features: bool, begin: bytes) -> None:
    raw = bytearray(random.randbytes(len(some) * dim * 4))
    raw[: len(begin)] = begin[: len(raw)]
    vectors = np.frombuffer(bytes(raw), "<f4").reshape(len(some), dim)
    features = [b"{}" if random.random() < 0.5 else None for _ in some] if has_features else None
    encoded = resp.puts(b"songs", some, vectors, features)
    buffer, position = bytearray(encoded), 0
    for index, id in enumerate(some):
        reader = Reader()
        position = reader.read(buffer, position)
        row = vectors[index].tobytes()
        json = features[index] if features else None
        assert reader.result == [b"PUT", b"songs", id, resp.raw_word(row), *([] if json is None else [json])]
    assert position == len(encoded)


def test_raw_vectors_that_spell_text_are_sent_as_base64() -> None:
    assert resp.raw_word(b"[1.5,20]") == b"f32:WzEuNSwyMF0="
    assert resp.raw_word(b"f32:AAAA").startswith(b"f32:Zj")
    assert resp.raw_word(b"[1.5,2\x00]") == b"[1.5,2\x00]"
    assert resp.raw_word(b"like=abc") == b"f32:bGlrZT1hYmM="


@given(any_id)
def test_escaped_ids_have_no_separators(id: bytes) -> None:
    from urllib.parse import unquote_to_bytes

    text = resp.escaped(id)
    assert not set(text) & (set(range(0x21)) | {0x7F, 0x3D, 0x2C})
    assert unquote_to_bytes(text) == id


# Rows


@given(ids, st.integers(1, 9), st.randoms(use_true_random=False), cuts, st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_rows_of_vectors(some: list[bytes], dim: int, random: Any, places: list[int], missing: float) -> None:
    rows = [None if random.random() < missing else random.randbytes(dim * 4) for _ in some]
    reply = b"*%d\r\n" % len(some) + b"".join(b"*2\r\n" + bulk(id) + bulk(row) for id, row in zip(some, rows))
    found, vectors = feed(VectorRows(some), reply, places, b"+OK\r\n")
    assert found.tolist() == [row is not None for row in rows]
    if any(found):
        expected = b"".join(bytes(dim * 4) if row is None else row for row in rows)
        assert vectors.shape == (len(some), dim)
        assert vectors.tobytes() == expected
    else:
        assert vectors.shape == (len(some), 0)
    assert vectors.flags.writeable


@pytest.mark.parametrize("missing", [0.0, 0.001, 0.3, 0.999])
def test_many_rows_of_vectors_in_pieces(missing: float) -> None:
    random = np.random.default_rng(1)
    some = [b"item-%d" % number for number in random.integers(0, 10**6, 5000)]
    table = random.normal(size=(5000, 16)).astype("<f4")
    is_found = random.random(5000) >= missing
    reply = b"*5000\r\n" + b"".join(
        b"*2\r\n" + bulk(id) + bulk(row.tobytes() if found else None) for id, row, found in zip(some, table, is_found)
    )
    found, vectors = feed(VectorRows(some), reply, list(range(0, len(reply), 40_000)))
    assert (found == is_found).all()
    assert (vectors == np.where(is_found[:, None], table, 0)).all()


@given(ids, st.data(), cuts)
def test_rows_of_numbers_and_states(some: list[bytes], data: st.DataObject, places: list[int]) -> None:
    number = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
    rows = [(data.draw(number), data.draw(st.sampled_from(["seen", "stale", "once", "unseen"]))) for _ in some]
    reply = encode([[id, value, state.encode()] for id, (value, state) in zip(some, rows)])
    numbers, states = feed(LineRows(some, "nw"), reply, places, b"*1\r\n")
    assert states.tolist() == [state for _, state in rows]
    for got, (expected, _) in zip(numbers.tolist(), rows):
        assert math.isnan(got) if expected is None else struct.pack("d", got) == struct.pack("d", expected)


@given(ids, st.data(), cuts)
def test_rows_of_flags(some: list[bytes], data: st.DataObject, places: list[int]) -> None:
    flags = [data.draw(st.booleans()) for _ in some]
    (result,) = feed(LineRows(some, "f"), encode([[id, flag] for id, flag in zip(some, flags)]), places)
    assert result.tolist() == flags


@given(st.sampled_from(["n", "nn", "niv", "nnvj", "nj", "nvnj"]), st.data(), st.integers(1, 9), cuts)
def test_tables(kinds: str, data: st.DataObject, dim: int, places: list[int]) -> None:
    number = st.floats(allow_nan=False, allow_infinity=False)
    vector = st.binary(min_size=dim * 4, max_size=dim * 4)
    columns = {
        "n": st.one_of(number, number, number, st.none()),
        "i": st.integers(0, 2**63 - 1),
        "v": st.one_of(vector, vector, st.none()),
        "j": st.one_of(st.binary(), st.none()),
    }
    rows = data.draw(st.lists(st.tuples(hard_id, *[columns[kind] for kind in kinds]), max_size=30))
    table = [list(row) for row in rows]
    got = feed(Table(kinds), encode(table), places, b"*1\r\n")
    assert got[0] == [row[0] for row in table]
    for index, kind in enumerate(kinds, 1):
        column = [row[index] for row in table]
        if kind == "n":
            assert np.array([np.nan if value is None else value for value in column]).tobytes() == got[index].tobytes()
        else:
            assert list(got[index]) == column


@given(st.lists(st.tuples(hard_id, st.one_of(st.none(), st.floats(0, 1)), st.integers(0, 9)), max_size=20), cuts)
def test_tables_with_labels(rows: list[Any], places: list[int]) -> None:
    table: list[Any] = [[id, {b"q": q, b"last": last or None, b"state": b"seen"}] for id, q, last in rows]
    if len(table) > 5:
        # A later daemon may have more.
        table[3][1][b"new"] = 1
    ids, q, last, states = feed(Table("niw", (b"q", b"last", b"state")), encode(table), places)
    assert ids == [row[0] for row in rows]
    assert q.tobytes() == np.array([np.nan if row[1] is None else row[1] for row in rows], np.float64).tobytes()
    assert last.tolist() == [row[2] or -1 for row in rows]
    assert list(states) == [b"seen"] * len(rows)


def test_a_table_can_be_an_error() -> None:
    assert feed(Table("n"), b"-NOCOLLECTION no\r\n", [1, 5]).code == "NOCOLLECTION"


@pytest.mark.parametrize("reader", [VectorRows([b"a", b"b"]), LineRows([b"a", b"b"], "n")])
def test_rows_can_be_an_error(reader: Reader) -> None:
    assert feed(reader, b"-NOCOLLECTION no\r\n", [1, 5]).code == "NOCOLLECTION"


@pytest.mark.parametrize(
    "reply",
    [
        b"*1\r\n*2\r\n$1\r\na\r\n_\r\n",
        b"+OK\r\n",
        b"*2\r\n*2\r\n$1\r\na\r\n#t\r\n*2\r\n$1\r\nb\r\n_\r\n",
        b"*2\r\n*2\r\n$1\r\na\r\n$4\r\nabcd__*2\r\n$1\r\nb\r\n$4\r\nabcd\r\n",
        b"*2\r\n*2\r\n$1\r\na\r\n$3\r\nabc\r\n*2\r\n$1\r\nb\r\n_\r\n",
    ],
)
def test_rows_of_another_form_are_refused(reply: bytes) -> None:
    with pytest.raises(ProtocolError):
        VectorRows([b"a", b"b"]).read(bytearray(reply), 0)


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(0, 9000), cuts)
def test_acknowledgements_and_errors(flags: list[bool], more: int, places: list[int]) -> None:
    flags = flags + [True] * more
    reply = b"".join(b"+OK\r\n" if flag else b"-BUSY later\r\n" for flag in flags)
    errors = feed(Acknowledgements(len(flags)), reply, places, b"+OK\r\n")
    assert sorted(errors) == [index for index, flag in enumerate(flags) if not flag]


# Numbers


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=64, max_size=200))
def test_decimals_are_exact(numbers: list[float]) -> None:
    check_decimals(numbers)


def test_decimals_near_halves_are_exact() -> None:
    random = np.random.default_rng(5)
    check_decimals((-random.random(20_000) * 20).tolist())
    check_decimals([float(number) for number in range(100)] + [2.0**power for power in range(-60, 60)])
    # Longer than the shortest form, and halfway between two numbers.
    check_texts([b"9007199254740993", b"-9007199254740995.0", b"0.1000000000000000055", b"4503599627370496.5"] * 20)


def check_decimals(numbers: list[float]) -> None:
    check_texts([repr(number).encode() for number in numbers])


def check_texts(texts: list[bytes]) -> None:
    buffer = bytearray(b"x".join(texts))
    lengths = np.array(list(map(len, texts)))
    ends = np.cumsum(lengths + 1) - 1
    got = decimals(buffer, ends - lengths, ends)
    assert got.tobytes() == np.array(list(map(float, texts))).tobytes()
