"""The codec of RESP: requests to bytes, and readers of replies that take bytes as they arrive.

Nothing here does input or output. A *reader* reads one reply, or several that belong together, from a growing buffer::

    position = reader.read(buffer, position)    # the position after the reply, or -1 if bytes are missing
    reader.result                               # what was read; a ServerError is a result, too

A reader remembers how far it came, so bytes that arrive one by one are not read again and again. All bytes from the
position of the first call have to stay in the buffer until the reader is done.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any, Optional, cast

import numpy as np
from numpy.typing import NDArray

from .decimals import decimals
from .errors import ProtocolError, ServerError, server_error

LINE_BYTES_MAX = 65_536
DEPTH_MAX = 8
# Ends a word, and begins an id of this length.
_ID_BORDERS = [b"\r\n$%d\r\n" % length for length in range(256)]


# Requests


def bulk(value: bytes) -> bytes:
    """Encodes a word as a bulk string."""
    return b"$%d\r\n%b\r\n" % (len(value), value)


def words(values: Iterable[bytes]) -> bytes:
    """Encodes words as bulk strings."""
    return b"".join(map(bulk, values))


def ids(values: Sequence[bytes]) -> bytes:
    """Encodes ids as bulk strings. It is quicker than :func:`words`, and takes words of any length."""
    lengths = set(map(len, values))
    if not lengths:
        return b""
    if max(lengths) > 255:
        return words(values)
    if len(lengths) == 1:
        border = _ID_BORDERS[lengths.pop()]
        return border[2:] + border.join(values) + b"\r\n"
    return _joined([_ID_BORDERS[length] for length in map(len, values)], values)


def request(head: Sequence[bytes], tail: Sequence[bytes] = ()) -> bytes:
    """Encodes one request: an array of words, the last of which are ids."""
    return b"*%d\r\n" % (len(head) + len(tail)) + words(head) + ids(tail)


def puts(
    collection: bytes,
    item_ids: Sequence[bytes],
    vectors: NDArray[np.float32],
    features: Optional[Sequence[Optional[bytes]]] = None,
) -> bytes:
    """Encodes one ``PUT`` for each id. ``vectors`` is float32 [n, dim].

    Cost: less than half a microsecond for an item of 64 numbers, because only C loops touch the items.
    """
    rows = raw_rows(vectors)
    if len(item_ids) != len(rows):
        raise ValueError(f"got {len(item_ids)} ids for {len(rows)} vectors")
    if not item_ids:
        return b""
    middles = [b"\r\n$%d\r\n" % (vectors.shape[1] * 4)] * len(rows)
    for index in _ambiguous_candidates(vectors):
        rows[index] = raw_word(rows[index])
        middles[index] = b"\r\n$%d\r\n" % len(rows[index])
    if max(map(len, item_ids)) > 255 or features is not None:
        given: Iterable[Optional[bytes]] = repeat(None, len(rows)) if features is None else features
        verb = (b"PUT", collection)
        return b"".join(
            request((*verb, id, row) if json is None else (*verb, id, row, json))
            for id, row, json in zip(item_ids, rows, given)
        )
    # What is between the vector of an item and the id of the next.
    head = b"\r\n*4\r\n" + words((b"PUT", collection))[:-2]
    heads = {length: head + _ID_BORDERS[length] for length in set(map(len, item_ids))}
    starts = [heads[length] for length in map(len, item_ids)]
    return _joined(starts, item_ids, middles, rows)


def _joined(*columns: Sequence[bytes]) -> bytes:
    """Joins the words of columns row by row. Each row begins with the end of the row before it."""
    pieces = [b""] * (len(columns) * len(columns[0]))
    for index, column in enumerate(columns):
        pieces[index :: len(columns)] = column
    return b"".join(pieces)[2:] + b"\r\n"


def raw_rows(vectors: NDArray[np.float32]) -> list[bytes]:
    """The little-endian bytes of each row of float32 [n, dim]."""
    contiguous = np.ascontiguousarray(vectors, "<f4")
    if not contiguous.size:
        return [b""] * len(contiguous)
    # A void is given to Python as bytes.
    return cast("list[bytes]", contiguous.view(f"V{contiguous.shape[1] * 4}").ravel().tolist())


_TEXT_LIKE = re.compile(rb"(?:\[[ -~]*\]|f32:[ -~]*)\Z")
_OPTION_LIKE = re.compile(rb"[A-Za-z_]+=")
_IS_NAME = np.zeros(256, np.bool_)
_IS_NAME[[byte for byte in range(128) if chr(byte).isalpha() or chr(byte) == "_"]] = True


def _ambiguous_candidates(vectors: NDArray[np.float32]) -> list[int]:
    """The rows that :func:`raw_word` may have to encode: those that begin as text or as an option does."""
    first = np.ascontiguousarray(vectors[:, 0], "<f4")
    last = np.ascontiguousarray(vectors[:, -1], "<f4").view("<u4")
    letters = first.view(np.uint8).reshape(-1, 4)
    is_bracketed = (letters[:, 0] == 0x5B) & ((last >> 24) == 0x5D)
    # Three letters and a `=` are a usual number, such as 0.056.
    is_option = _IS_NAME[letters[:, 3]] | (letters[:, 3] == 0x3D)
    for place in (2, 1):
        is_option = (letters[:, place] == 0x3D) | (_IS_NAME[letters[:, place]] & is_option)
    is_option &= _IS_NAME[letters[:, 0]]
    is_base64 = first.view("<u4") == int.from_bytes(b"f32:", "little")
    return np.flatnonzero(is_bracketed | is_option | is_base64).tolist()


def raw_word(row: bytes) -> bytes:
    """A vector as one word: its raw bytes. Those that spell text or an option are encoded as ``f32:``."""
    if _TEXT_LIKE.match(row) or _OPTION_LIKE.match(row):
        from base64 import b64encode

        return b"f32:" + b64encode(row)
    return row


def is_option_like(word: bytes) -> bool:
    """Whether the daemon would take the first word of a tail for an option, or for the end of the options."""
    return word == b"--" or _OPTION_LIKE.match(word) is not None


_MUST_ENCODE = re.compile(rb"[\x00-\x20\x7f%=,]")


def escaped(id: bytes) -> bytes:
    """An id as it is written in the value of an option."""
    return _MUST_ENCODE.sub(lambda match: b"%%%02X" % match[0][0], id)


# Replies


class Reader:
    """Reads a reply of any form."""

    def __init__(self) -> None:
        self.result: Any = None
        # How far this reader came, from the start of the reply.
        self._offset = 0
        # The aggregates that are not complete, from the outside: their elements and the number of them.
        self._open: list[tuple[list[Any], int, bool]] = []

    def read(self, buffer: bytearray, start: int) -> int:
        end = len(buffer)
        position = start + self._offset
        find = buffer.find
        elements, count, is_map = self._open[-1] if self._open else ([], -1, False)
        while True:
            line_end = find(b"\r\n", position, position + LINE_BYTES_MAX)
            if line_end < 0:
                if end - position >= LINE_BYTES_MAX:
                    raise ProtocolError(f"got a line of more than {LINE_BYTES_MAX} bytes")
                break
            if line_end == position:
                raise ProtocolError("got an empty line, expected a value")
            kind = buffer[position]
            value: Any
            if kind == 0x24:  # $
                length = _integer(buffer, position + 1, line_end)
                after = line_end + 2
                if length < 0:
                    value = None
                elif after + length + 2 > end:
                    break
                else:
                    value = bytes(buffer[after : after + length])
                    after += length + 2
                    if buffer[after - 2] != 13 or buffer[after - 1] != 10:
                        raise ProtocolError("got a bulk string without CR LF at its end")
                position = after
            elif kind == 0x2C:  # ,
                value = _float(buffer, position + 1, line_end)
                position = line_end + 2
            elif kind == 0x3A:  # :
                value = _integer(buffer, position + 1, line_end)
                position = line_end + 2
            elif kind in (0x2A, 0x25, 0x7E):  # * % ~
                length = _integer(buffer, position + 1, line_end)
                position = line_end + 2
                if length < 0:
                    value = None
                elif len(self._open) >= DEPTH_MAX:
                    raise ProtocolError(f"got a reply that is nested deeper than {DEPTH_MAX}")
                elif length:
                    is_map = kind == 0x25
                    elements, count = [], length * 2 if is_map else length
                    self._open.append((elements, count, is_map))
                    continue
                else:
                    value = {} if kind == 0x25 else []
            else:
                value = self._line(buffer, kind, position, line_end)
                position = line_end + 2
            while count >= 0:
                elements.append(value)
                if len(elements) < count:
                    break
                value = _map(elements) if is_map else elements
                self._open.pop()
                elements, count, is_map = self._open[-1] if self._open else ([], -1, False)
            else:
                self.result = value
                return position
        self._offset = position - start
        return -1

    @staticmethod
    def _line(buffer: bytearray, kind: int, position: int, line_end: int) -> Any:
        text = bytes(buffer[position + 1 : line_end])
        if kind == 0x5F:  # _
            return None
        if kind == 0x23 and text in (b"t", b"f"):  # #
            return text == b"t"
        if kind == 0x2B:  # +
            return text
        if kind == 0x2D:  # -
            return server_error(text)
        raise ProtocolError(f"got a reply of an unknown kind {bytes([kind])!r}")


def _integer(buffer: bytearray, start: int, end: int) -> int:
    try:
        return int(buffer[start:end])
    except ValueError:
        raise ProtocolError(f"got {bytes(buffer[start:end])!r}, expected an integer") from None


def _float(buffer: bytearray, start: int, end: int) -> float:
    try:
        return float(buffer[start:end])
    except ValueError:
        raise ProtocolError(f"got {bytes(buffer[start:end])!r}, expected a number") from None


def _map(elements: list[Any]) -> dict[Any, Any]:
    return dict(zip(elements[::2], elements[1::2]))


class Greeting(Reader):
    """Reads the reply to `HELLO`. The daemon refuses a connection before it knows the protocol: ``ERR CODE text``."""

    def read(self, buffer: bytearray, start: int) -> int:
        if not buffer.startswith(b"ERR ", start):
            return -1 if b"ERR ".startswith(buffer[start:]) else super().read(buffer, start)
        line_end = buffer.find(b"\n", start, start + LINE_BYTES_MAX)
        if line_end < 0:
            return -1
        self.result = server_error(bytes(buffer[start + 4 : line_end]).rstrip(b"\r"))
        return line_end + 1


class Acknowledgements(Reader):
    """Reads ``count`` replies without rows. The result has the errors, by the index of the reply."""

    _OK = b"+OK\r\n"
    _BLOCK = _OK * 4096

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self._done = 0
        self.result: dict[int, ServerError] = {}

    def read(self, buffer: bytearray, start: int) -> int:
        position = start + self._offset
        end = len(buffer)
        while self._done < self.count:
            size = min((end - position) // 5, self.count - self._done, 4096)
            if size and buffer.startswith(self._BLOCK[: size * 5] if size < 4096 else self._BLOCK, position):
                self._done += size
                position += size * 5
                continue
            for _ in range(max(1, size)):
                if not buffer.startswith(self._OK, position):
                    break
                self._done += 1
                position += 5
            else:
                continue
            # This reply is an error, or not complete.
            one = Reader()
            after = one.read(buffer, position)
            if after < 0:
                break
            if isinstance(one.result, ServerError):
                self.result[self._done] = one.result
            elif one.result != b"OK":
                raise ProtocolError(f"got {one.result!r}, expected OK")
            self._done += 1
            position = after
        else:
            return position
        self._offset = position - start
        return -1


class Table(Reader):
    """Reads an array of rows ``id value value ...``. The result is a list of columns, three times as quickly as rows.

    ``kinds`` has a letter for each column after the id: ``n`` number or null, ``i`` integer or null, ``w`` word, ``v``
    vector or null, and for the last column ``j`` JSON or null. The columns ``n`` and ``i`` are arrays with NaN and -1
    for null, the others are lists. With ``labels``, a row is an id and a map with these keys. A row of any other form
    is read by :class:`Reader`.
    """

    def __init__(self, kinds: str, labels: tuple[bytes, ...] = ()) -> None:
        super().__init__()
        self._kinds = kinds
        self._labels = labels
        self._head = re.compile(rb"\*%d\r\n\$(\d{1,3})\r\n" % (2 if labels else 1 + len(kinds)))
        self._body: Optional[re.Pattern[bytes]] = None
        self._count = -1
        self._ids: list[Any] = []
        self._values: list[Sequence[Any]] = []

    def read(self, buffer: bytearray, start: int) -> int:
        if self._count < 0:
            line_end = buffer.find(b"\r\n", start)
            if line_end < 0 or buffer[start] != 0x2A:
                after = super().read(buffer, start)
                if after >= 0 and not isinstance(self.result, ServerError):
                    raise ProtocolError(f"got {self.result!r:.80}, expected rows")
                return after
            self._count = _integer(buffer, start + 1, line_end)
            self._offset = line_end + 2 - start
        position = start + self._offset
        while len(self._values) < self._count:
            if self._body is not None:
                position = self._quick_rows(buffer, position, self._body)
                if len(self._values) == self._count:
                    break
            one = Reader()
            after = one.read(buffer, position)
            if after < 0:
                self._offset = position - start
                return -1
            row = one.result
            if self._labels and isinstance(row, list) and len(row) == 2 and isinstance(row[1], dict):
                row = [row[0], *map(row[1].get, self._labels)]
            if not isinstance(row, list) or len(row) != 1 + len(self._kinds) or not isinstance(row[0], bytes):
                raise ProtocolError(f"got {row!r:.80}, expected a row of {1 + len(self._kinds)} columns")
            self._ids.append(row[0])
            self._values.append(row[1:])
            if self._body is None:
                self._body = _body_pattern(self._kinds, _vector_bytes(self._kinds, row), self._labels)
            position = after
        self.result = self._columns()
        return position

    def _quick_rows(self, buffer: bytearray, position: int, body: re.Pattern[bytes]) -> int:
        """Reads rows until one has another form or is not complete. Returns the position after the last."""
        match_head, match_body, has_json = self._head.match, body.match, self._kinds.endswith("j")
        add_id, add_values = self._ids.append, self._values.append
        for _ in range(self._count - len(self._values)):
            head = match_head(buffer, position)
            if head is None:
                break
            begin = head.end()
            end = begin + int(head[1])
            found = match_body(buffer, end)
            if found is None:
                break
            values: Sequence[Any] = found.groups()
            after = found.end()
            if has_json and values[-1] is not None:
                last = after + int(values[-1])
                if not buffer.startswith(b"\r\n", last):
                    break
                values = (*values[:-1], bytes(buffer[after:last]))
                after = last + 2
            add_id(buffer[begin:end])
            add_values(values)
            position = after
        return position

    def _columns(self) -> list[Any]:
        columns: list[Any] = [list(map(bytes, self._ids))]
        others: list[Any] = list(zip(*self._values)) if self._values else [()] * len(self._kinds)
        for kind, values in zip(self._kinds, others):
            try:
                if kind == "n":
                    values = np.array([np.nan if value is None else float(value) for value in values], np.float64)
                elif kind == "i":
                    values = np.array([-1 if value is None else int(value) for value in values], np.int64)
            except (TypeError, ValueError, OverflowError) as error:
                raise ProtocolError(f"got a row without a number: {error}") from None
            columns.append(values)
        return columns


def _vector_bytes(kinds: str, row: list[Any]) -> int:
    place = kinds.find("v") + 1
    return len(row[place] or b"") if place else 0


@functools.lru_cache(maxsize=64)
def _body_pattern(kinds: str, vector_bytes: int, labels: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """What follows the id in a row whose vectors have this length."""
    forms = {
        "n": rb"(?:,([^\r\n]+)|_)\r\n",
        "i": rb"(?::(-?\d+)|_)\r\n",
        "w": rb"\$\d+\r\n([^\r\n]*)\r\n",
        "v": rb"(?:\$%d\r\n(.{%d})\r\n|_\r\n)" % (vector_bytes, vector_bytes),
        "j": rb"(?:\$(\d+)\r\n|_\r\n)",
    }
    columns = [forms[kind] for kind in kinds]
    if labels:
        columns = [b"\\" + bulk(label) + column for label, column in zip(labels, columns)]
        columns.insert(0, b"%%%d\r\n" % len(labels))
    return re.compile(rb"\r\n" + b"".join(columns), re.DOTALL)


class _Rows(Reader):
    """Reads an array with one row for each id of the request, in their order. So the ids need not be read.

    A few rows are read by :class:`Reader`, because numpy pays only from some dozen on.
    """

    _FEW = 16

    def __init__(self, ids: Sequence[bytes], columns: int) -> None:
        super().__init__()
        self._ids = ids
        self._columns = columns
        self._head = -1

    def read(self, buffer: bytearray, start: int) -> int:
        if self._head < 0:
            line_end = buffer.find(b"\r\n", start)
            if len(self._ids) < self._FEW or line_end < 0 or buffer[start] != 0x2A:
                after = super().read(buffer, start)
                if after >= 0 and not isinstance(self.result, ServerError):
                    self.result = self._general_result(self._checked(self.result))
                return after
            if _integer(buffer, start + 1, line_end) != len(self._ids):
                got = bytes(buffer[start + 1 : line_end]).decode("ascii", "replace")
                raise ProtocolError(f"got {got} rows, expected {len(self._ids)}")
            self._head = line_end + 2 - start
        return self._read_rows(buffer, start)

    def _read_rows(self, buffer: bytearray, start: int) -> int:
        """Reads many rows, as far as they have arrived."""
        raise NotImplementedError

    def _general_result(self, rows: list[Any]) -> Any:
        """The result from rows that :class:`Reader` has read."""
        raise NotImplementedError

    def _checked(self, rows: Any) -> list[Any]:
        if not isinstance(rows, list) or len(rows) != len(self._ids):
            raise ProtocolError(f"got {rows!r:.80}, expected {len(self._ids)} rows")
        for row, id in zip(rows, self._ids):
            if not isinstance(row, list) or len(row) != self._columns or row[0] != id:
                raise ProtocolError(f"got {row!r:.80}, expected a row of {self._columns} columns for {id!r:.80}")
        return rows


class VectorRows(_Rows):
    """Reads rows ``id vector|null`` with raw vectors. The result is (found bool [n], vectors float32 [n, dim]).

    The lengths of the ids are known, and all vectors have one length. So the place of each row follows from the places
    before it, and markers at these places are checked many at a time.
    """

    # Rows to step through one by one where ids without a vector are frequent.
    _STEPS = 256

    def __init__(self, ids: Sequence[bytes]) -> None:
        super().__init__(ids, 2)
        self._row = 0
        # The length of a vector with its header and its end, once it is known.
        self._tail = 0
        self._header = b""
        if len(ids) < self._FEW:
            return
        lengths = np.fromiter(map(len, ids), np.intp, len(ids))
        # A row is `*2`, the id, and the vector. This is the length of the first two.
        self._fronts = 10 + lengths + (lengths >= 10) + (lengths >= 100)
        self._sums = np.concatenate([np.zeros(1, np.intp), np.cumsum(self._fronts)])
        # The places of the vectors from the start of the reply, -1 for an id without one.
        self._places = np.full(len(ids), -1, np.intp)

    def _read_rows(self, buffer: bytearray, start: int) -> int:
        count = len(self._ids)
        position = start + (self._offset or self._head)
        end = len(buffer)
        while self._row < count:
            row = self._row
            if self._tail:
                # Suppose that all other rows have a vector, and see how far that is right.
                marks = position + self._sums[row + 1 :] - self._sums[row] + np.arange(count - row) * self._tail
                whole = int(np.searchsorted(marks, end - self._tail, "right"))
                if whole:
                    marks = marks[:whole]
                    text = np.frombuffer(buffer, np.uint8)
                    others = np.flatnonzero(text[marks] != 0x24)
                    del text
                    right = int(others[0]) if len(others) else whole
                    self._places[row : row + right] = marks[:right] - start
                    if right:
                        self._row += right
                        position = int(marks[right - 1]) + self._tail
                        if self._row == count:
                            break
            after = self._step(buffer, start, position, end)
            if after == position:
                self._offset = position - start
                return -1
            position = after
        self.result = self._vectors(buffer, start)
        return position

    def _step(self, buffer: bytearray, start: int, position: int, end: int) -> int:
        """Reads up to 256 rows one by one. Returns the position after the last row that is complete."""
        row = self._row
        places = []
        tail = self._tail
        for front in self._fronts[row : row + self._STEPS].tolist():
            mark = position + front
            if mark >= end:
                break
            kind = buffer[mark]
            if kind == 0x5F:
                if mark + 3 > end:
                    break
                places.append(-1)
                position = mark + 3
            elif kind == 0x24:
                if not tail:
                    line_end = buffer.find(b"\r\n", mark)
                    if line_end < 0:
                        break
                    length = _integer(buffer, mark + 1, line_end)
                    if length <= 0 or length % 4:
                        raise ProtocolError(f"got a vector of {length} bytes")
                    self._header = bytes(buffer[mark : line_end + 2])
                    self._tail = tail = len(self._header) + length + 2
                if mark + tail > end:
                    break
                places.append(mark - start)
                position = mark + tail
            else:
                raise ProtocolError(f"got a row of an unknown form for {self._ids[row + len(places)]!r:.80}")
        self._places[row : row + len(places)] = places
        self._row += len(places)
        return position

    def _general_result(self, rows: list[Any]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        values = [row[1] for row in rows]
        return np.array([value is not None for value in values], np.bool_), vector_column(values)

    def _vectors(self, buffer: bytearray, start: int) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        found = self._places >= 0
        head, tail = len(self._header), self._tail
        if not tail:
            return found, np.zeros((len(found), 0), np.float32)
        places = self._places[found] + start
        size = tail - head - 2
        self._check(buffer, places - 2, b"\r\n")
        self._check(buffer, places, self._header)
        self._check(buffer, places + tail - 2, b"\r\n")
        rows = _windows(buffer, places + head, size).view("<f4").reshape(len(places), size // 4)
        if len(places) == len(found):
            return found, rows
        vectors = np.zeros((len(found), size // 4), np.float32)
        vectors[found] = rows
        return found, vectors

    @staticmethod
    def _check(buffer: bytearray, places: NDArray[np.intp], expected: bytes) -> None:
        if not (_windows(buffer, places, len(expected)).view(np.uint8) == _tiled(expected, len(places))).all():
            raise ProtocolError(f"got another text than {expected!r} at the end of a value")


def vector_column(values: Sequence[Optional[bytes]]) -> NDArray[np.float32]:
    """float32 [n, dim] of raw vectors, zero where there is none."""
    if not all(value is None or isinstance(value, bytes) for value in values):
        raise ProtocolError("got a vector that is no bulk string")
    lengths = {len(value) for value in values if value is not None}
    if not lengths:
        return np.zeros((len(values), 0), np.float32)
    if len(lengths) > 1 or min(lengths) % 4 or not min(lengths):
        raise ProtocolError("got vectors of different lengths")
    size = lengths.pop()
    joined = b"".join([bytes(size) if value is None else value for value in values])
    return np.frombuffer(bytearray(joined), "<f4").reshape(len(values), size // 4)


def _windows(buffer: bytearray, places: NDArray[np.intp], size: int) -> NDArray[np.void]:
    """Copies ``size`` bytes from each place."""
    return np.ndarray((len(buffer) - size + 1,), f"V{size}", buffer=buffer, strides=(1,))[places]


def _tiled(text: bytes, count: int) -> NDArray[np.uint8]:
    return np.tile(np.frombuffer(text, np.uint8), count)


class LineRows(_Rows):
    """Reads rows ``id`` and then ``number``, ``number state``, ``number|null`` or ``flag``.

    No value but an id can contain a line feed. So the number of lines of the reply is known. The result is a list with
    one array for each column after the id: float64 [n], NaN for null; the text of the states; or bool [n].
    """

    def __init__(self, ids: Sequence[bytes], kinds: str) -> None:
        """``kinds`` has a letter for each column after the id: ``n`` number or null, ``w`` word, ``f`` flag."""
        super().__init__(ids, 1 + len(kinds))
        self._kinds = kinds
        self._lines = 3 + sum(2 if kind == "w" else 1 for kind in kinds)
        self._feeds = b"".join(ids).count(b"\n")
        self._missing = len(ids) * self._lines + self._feeds

    def _read_rows(self, buffer: bytearray, start: int) -> int:
        position = start + (self._offset or self._head)
        feeds = buffer.count(b"\n", position)
        if feeds < self._missing:
            self._missing -= feeds
            self._offset = len(buffer) - start
            return -1
        text = np.frombuffer(buffer, np.uint8)
        ends = np.flatnonzero(text[start + self._head :] == 10) + (start + self._head)
        ends = ends[: len(self._ids) * self._lines + self._feeds]
        after = int(ends[-1]) + 1 if len(ends) else position
        if self._feeds or not self._ids:
            del text
            reader = Reader()
            if reader.read(buffer, start) < 0:
                raise ProtocolError("got rows with more lines than expected")
            self.result = self._general_result(self._checked(reader.result))
        else:
            self.result = self._quick_columns(buffer, text, ends.reshape(len(self._ids), self._lines))
        return after

    def _quick_columns(self, buffer: bytearray, text: NDArray[np.uint8], ends: NDArray[np.intp]) -> list[NDArray[Any]]:
        count = len(ends)
        lengths = np.fromiter(map(len, self._ids), np.intp, count)
        is_right = text[ends - 1] == 13
        if not is_right.all() or not (ends[:, 2] - ends[:, 1] == lengths + 2).all():
            raise ProtocolError("got rows of an unknown form")
        columns: list[NDArray[Any]] = []
        line = 2
        for kind in self._kinds:
            # A value begins after the end of the line before it.
            starts = ends[:, line] + 1
            first = text[starts]
            line += 1
            if kind == "n":
                is_null = first == 0x5F
                if not (is_null | (first == 0x2C)).all():
                    raise ProtocolError("got rows without a number")
                columns.append(self._numbers(buffer, starts + 1, ends[:, line] - 1, is_null))
            elif kind == "f":
                flags = text[starts + 1] == 0x74
                if not (first == 0x23).all():
                    raise ProtocolError("got rows without a flag")
                columns.append(flags)
            else:
                if not (first == 0x24).all():
                    raise ProtocolError("got rows without a word")
                columns.append(self._states(text, ends[:, line] + 1))
                line += 1
        return columns

    @staticmethod
    def _numbers(
        buffer: bytearray, starts: NDArray[np.intp], ends: NDArray[np.intp], is_null: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        try:
            if not is_null.any():
                return decimals(buffer, starts, ends)
            numbers = np.full(len(starts), np.nan)
            numbers[~is_null] = decimals(buffer, starts[~is_null], ends[~is_null])
        except ValueError as error:
            raise ProtocolError(str(error)) from None
        return numbers

    @staticmethod
    def _states(text: NDArray[np.uint8], starts: NDArray[np.intp]) -> NDArray[np.str_]:
        codes = text[starts] * np.uint16(256) + text[starts + 1]
        return cast("NDArray[np.str_]", STATES[_STATE_OF_CODE[codes]])

    def _general_result(self, rows: list[Any]) -> list[NDArray[Any]]:
        columns: list[NDArray[Any]] = []
        try:
            for index, kind in enumerate(self._kinds, 1):
                values = [row[index] for row in rows]
                if kind == "n":
                    columns.append(np.array([np.nan if value is None else value for value in values], np.float64))
                elif kind == "f":
                    columns.append(np.array(values, np.bool_))
                else:
                    columns.append(np.array([value.decode() for value in values], STATES.dtype))
        except (AttributeError, TypeError, ValueError) as error:
            raise ProtocolError(f"got a row of another form: {error}") from None
        return columns


STATES = np.array(["unseen", "once", "seen", "stale", "?"])
# The first two letters of a state tell which it is.
_STATE_OF_CODE = np.full(65_536, 4, np.uint8)
for _index, _state in enumerate(STATES[:4].tolist()):
    _STATE_OF_CODE[ord(_state[0]) * 256 + ord(_state[1])] = _index
