"""Ids and vectors of any library, and addresses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import logq
from logq.address import Address
from logq.arrays import IDDecoder, as_numpy, as_vectors, convert, encode_ids


class Tensor:
    """A tensor that is known only by its protocols, as those of other libraries are."""

    def __init__(self, array: Any, is_on_other_device: bool = False, protocols: str = "dlpack") -> None:
        self.array = array
        self.dtype = array.dtype
        self._device = (2, 0) if is_on_other_device else (1, 0)
        if protocols == "dlpack":
            self.__dlpack__ = array.__dlpack__

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._device

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.array if dtype is None else self.array.astype(dtype)

    def cpu(self) -> Tensor:
        return Tensor(self.array)

    def detach(self) -> Tensor:
        return self


class SharedTensor(Tensor):
    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)


def test_tensors_are_not_copied() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    for tensor in (array, SharedTensor(array), Tensor(array, protocols="array")):
        assert np.shares_memory(as_vectors(tensor), array)
    assert (as_numpy(SharedTensor(array, is_on_other_device=True)) == array).all()


def test_other_numbers_become_float32() -> None:
    for given_vectors in (
        [[1, 2]],
        np.array([[1, 2]], np.float64),
        np.array([[1, 2]], ">f4"),
        np.array([[1, 2]], "f2"),
    ):
        vectors = as_vectors(given_vectors)
        assert vectors.dtype == np.dtype("<f4")
        assert vectors.tolist() == [[1, 2]]
    assert as_vectors([1, 2]).shape == (1, 2)
    # A part of a larger array has rows that are not next to each other.
    assert as_vectors(np.arange(12, dtype="<f4").reshape(3, 4)[:, 1:3]).tolist() == [[1, 2], [5, 6], [9, 10]]


def test_results_stay_numpy_without_another_library() -> None:
    array = np.zeros(3)
    assert convert(array, np.zeros(1)) is array
    assert convert(array, [1]) is array


def test_ids_of_every_kind() -> None:
    assert encode_ids("é") == ["é".encode()]
    assert encode_ids(b"\x00") == [b"\x00"]
    assert encode_ids(bytearray(b"a")) == [b"a"]
    assert encode_ids(-7) == [b"-7"]
    assert encode_ids(np.int64(7)) == [b"7"]
    assert encode_ids([1, "a", b"b", np.uint8(3)]) == [b"1", b"a", b"b", b"3"]
    assert encode_ids(("a\nb", "c")) == [b"a\nb", b"c"]
    assert encode_ids(np.array([[1, 2], [3, 4]])) == [b"1", b"2", b"3", b"4"]
    assert encode_ids(np.array(["a", "é"])) == [b"a", "é".encode()]
    assert encode_ids(np.array([b"a", b"bc"])) == [b"a", b"bc"]
    assert encode_ids(SharedTensor(np.array([1, 2]))) == [b"1", b"2"]
    assert encode_ids(iter(["a", "b"])) == [b"a", b"b"]
    assert encode_ids(np.array([], np.int64)) == []
    assert encode_ids([]) == []


@given(st.lists(st.text(max_size=10)))
def test_text_is_encoded_as_utf_8(texts: list[str]) -> None:
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    assert encode_ids(texts) == [text.encode() for text in texts]
    assert IDDecoder("str")(encode_ids(texts)) == texts


@given(st.binary())
def test_any_bytes_come_back_from_text(id: bytes) -> None:
    assert encode_ids(IDDecoder("str").one(id)) == [id]


def test_ids_are_decoded_as_numbers() -> None:
    decoded = IDDecoder("int")([b"7", b"-8"])
    assert decoded.dtype == np.int64
    assert decoded.tolist() == [7, -8]


def test_addresses() -> None:
    assert Address.parse("logq://localhost") == Address("localhost", 5647)
    assert Address.parse("logq://[::1]:7/") == Address("::1", 7)
    assert Address.parse("logq+unix:///a%20b/c") == Address(path="/a b/c")
    assert str(Address.parse("logq://h:7")) == "logq://h:7"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:5647",
        "redis://localhost",
        "logq://",
        "logq://h:x",
        "logq://h:99999",
        "logq://h/path",
        "logq://user@h",
        "logq://h?a=b",
        "logq+unix://path",
        "logq+unix:///",
        "logqs://h",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(logq.Unsent, match="TLS" if url.startswith("logqs") else "got"):
        Address.parse(url)


# Other libraries, if they are installed


def test_tensors_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.arange(6.0, requires_grad=True).reshape(2, 3)
    vectors = as_vectors(tensor)
    assert vectors.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert vectors.ctypes.data == tensor.data_ptr()
    assert as_vectors(tensor.to(torch.bfloat16)).tolist() == vectors.tolist()
    assert as_vectors(tensor.to(torch.float64)).dtype == np.float32
    assert encode_ids(torch.tensor([1, 2])) == [b"1", b"2"]
    array = np.ones(3, np.float32)
    converted = convert(array, like=tensor)
    assert converted.data_ptr() == array.ctypes.data


def test_tensors_of_tensorflow() -> None:
    tensorflow = pytest.importorskip("tensorflow")
    tensor = tensorflow.reshape(tensorflow.range(6.0), (2, 3))
    assert as_vectors(tensor).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert np.shares_memory(as_vectors(tensor), as_vectors(tensor))
    assert as_vectors(tensorflow.cast(tensor, tensorflow.bfloat16)).dtype == np.float32
    assert as_vectors(tensorflow.Variable(tensor)).shape == (2, 3)
    assert encode_ids(tensorflow.constant(["a", "b"])) == [b"a", b"b"]
    assert encode_ids(tensorflow.constant([1, 2])) == [b"1", b"2"]
    assert convert(np.ones(3), like=tensor).shape == (3,)


def test_tensors_of_jax() -> None:
    jax = pytest.importorskip("jax")
    tensor = jax.numpy.arange(6.0).reshape(2, 3)
    vectors = as_vectors(tensor)
    assert vectors.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert vectors.ctypes.data == tensor.unsafe_buffer_pointer()
    assert as_vectors(tensor.astype(jax.numpy.bfloat16)).dtype == np.float32
    assert encode_ids(jax.numpy.array([1, 2])) == [b"1", b"2"]
    assert isinstance(convert(np.ones(3, np.float32), like=tensor), jax.Array)
