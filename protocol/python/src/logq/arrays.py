"""Arrays in and out: numpy, and tensors of PyTorch, TensorFlow or JAX without importing them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, Optional, Union, cast

import numpy as np
from numpy.typing import NDArray

from .errors import Unsent

_CPU = 1
_PINNED_BY_CUDA = 3


def as_numpy(value: Any) -> NDArray[Any]:
    """A numpy array of an array, a tensor or a nested list. A tensor in the memory of the CPU is not copied.

    A tensor on another device is copied to the CPU. A tensor that requires a gradient is detached. Numbers of a type
    that numpy does not have, such as bfloat16, become float32.
    """
    if isinstance(value, np.ndarray):
        return value
    if callable(getattr(value, "detach", None)):
        value = value.detach()
    if "string" in str(getattr(value, "dtype", "")):
        # TensorFlow ends the process if a tensor of strings is exported with DLPack.
        return np.asarray(value)
    if callable(getattr(value, "__dlpack__", None)):
        device = getattr(value, "__dlpack_device__", None)
        if device is not None and int(device()[0]) not in (_CPU, _PINNED_BY_CUDA):
            move = getattr(value, "cpu", None)
            value = move() if callable(move) else np.asarray(value)
        if _numpy_type(value) is not None:
            value = value.float() if callable(getattr(value, "float", None)) else np.asarray(value, np.float32)
        try:
            return cast("NDArray[Any]", np.from_dlpack(value))
        except (AttributeError, BufferError, RuntimeError, TypeError):
            # This kind of number, or this tensor, cannot be shared.
            pass
    return np.asarray(value)


def _library(value: Any) -> str:
    return type(value).__module__.partition(".")[0]


def _numpy_type(value: Any) -> Optional[type[np.float32]]:
    """float32 for numbers of a type that numpy does not have, None for others."""
    return np.float32 if "bfloat16" in str(getattr(value, "dtype", "")) else None


def as_vectors(value: Any) -> NDArray[np.float32]:
    """float32 [n, dim]. It is a view of ``value`` where that has float32 already. A single vector has n = 1."""
    try:
        array = as_numpy(value)
        if array.dtype != np.dtype("<f4"):
            array = array.astype("<f4")
    except (ValueError, TypeError) as error:
        raise Unsent(f"got vectors that are no array of numbers: {error}") from None
    if array.ndim == 1:
        array = array[np.newaxis]
    if array.ndim != 2 or array.shape[1] == 0:
        raise Unsent(f"got vectors of shape {array.shape}, expected [n, dim]")
    return array


def as_vector(value: Any) -> NDArray[np.float32]:
    """float32 [1, dim] of one vector."""
    vectors = as_vectors(value)
    if len(vectors) != 1:
        raise Unsent(f"got {len(vectors)} vectors, expected one")
    return vectors


def convert(array: NDArray[Any], like: Any) -> Any:
    """The array as a tensor of the library of ``like``, on the device of ``like``. numpy stays numpy.

    A tensor of PyTorch in the memory of the CPU shares the memory of the array.
    """
    module = _library(like)
    if module == "torch":
        tensor = sys.modules["torch"].from_numpy(array)
        return tensor.to(like.device)
    if module == "tensorflow":
        return sys.modules["tensorflow"].convert_to_tensor(array)
    if module in ("jax", "jaxlib"):
        return sys.modules["jax"].numpy.asarray(array)
    return array


ID = Union[bytes, str, int]
"""One id: its bytes, text that is sent as UTF-8, or an integer that is sent as decimal text."""

IDs = Any
"""Ids: a list of :data:`ID`, or an array or tensor of integers or strings."""


def is_one_id(value: Any) -> bool:
    return isinstance(value, (bytes, bytearray, memoryview, str, int, np.integer))


def encode_id(value: Any) -> bytes:
    """The bytes of one id. Text becomes UTF-8, and a number decimal digits."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, bool):
        raise Unsent("got a bool, expected an id")
    if isinstance(value, (int, np.integer)):
        return b"%d" % int(value)
    raise Unsent(f"got {type(value).__name__}, expected an id: bytes, str or int")


def encode_ids(values: IDs) -> list[bytes]:
    """The bytes of ids. A single id is a list of one.

    Cost: nothing for a list of bytes, about 0.2 microseconds for another id.
    """
    if is_one_id(values):
        return [encode_id(values)]
    if isinstance(values, (list, tuple)):
        return _encode_list(values)
    if not isinstance(values, np.ndarray) and not (hasattr(values, "__dlpack__") or hasattr(values, "__array__")):
        if not isinstance(values, Iterable):
            raise Unsent(f"got {type(values).__name__}, expected ids")
        return _encode_list(list(values))
    array = as_numpy(values).ravel()
    if array.dtype.kind in "iu":
        return _decimal_texts(array.tolist())
    if array.dtype.kind in "SUO":
        # numpy pads S and U with NUL, and cuts them off again. Such an array cannot hold an id that ends with NUL.
        return _encode_list(array.tolist())
    raise Unsent(f"got ids of type {array.dtype}, expected integers, strings or bytes")


def _encode_list(values: Sequence[Any]) -> list[bytes]:
    kinds = set(map(type, values))
    if kinds <= {bytes}:
        return cast("list[bytes]", list(values))
    if kinds == {int}:
        return _decimal_texts(values)
    if kinds == {str}:
        text = "\n".join(values)
        # One call encodes all of them, if no id has the separator.
        if text.count("\n") == len(values) - 1:
            return text.encode("utf-8", "surrogateescape").split(b"\n")
    return [encode_id(value) for value in values]


def _decimal_texts(values: Sequence[int]) -> list[bytes]:
    return "\n".join(map(str, values)).encode().split(b"\n") if values else []


class IDDecoder:
    """Turns the bytes of ids in replies into what the user asked for: ``bytes``, ``str`` or ``int``."""

    def __init__(self, kind: str) -> None:
        if kind not in ("bytes", "str", "int"):
            raise Unsent(f"got decode_ids={kind!r}, expected 'bytes', 'str' or 'int'")
        self.kind = kind

    def __call__(self, ids: list[bytes]) -> Any:
        """A list of bytes, a list of str, or int64 [n]."""
        if self.kind == "bytes":
            return ids
        if self.kind == "str":
            return [id.decode("utf-8", "surrogateescape") for id in ids]
        return np.array(list(map(int, ids)), np.int64)

    def one(self, id: bytes) -> Any:
        return self([id])[0]
