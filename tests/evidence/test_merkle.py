"""The hash tree against the RFC's own definition, written down a second time, and against published vectors."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.evidence import canonical, merkle

LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
"""Inputs that Certificate Transparency's own tests use, and the roots over the first 1, 2, 3 … of them."""
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive_root(data: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word."""
    if not data:
        return hashlib.sha256(b"").digest()
    if len(data) == 1:
        return hashlib.sha256(b"\x00" + data[0]).digest()
    k = 1
    while k * 2 < len(data):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(data[:k]) + naive_root(data[k:])).digest()


def naive_path(index: int, data: list[bytes]) -> list[bytes]:
    """RFC 6962, 2.1.1, word for word."""
    if len(data) == 1:
        return []
    k = 1
    while k * 2 < len(data):
        k *= 2
    if index < k:
        return [*naive_path(index, data[:k]), naive_root(data[k:])]
    return [*naive_path(index - k, data[k:]), naive_root(data[:k])]


@pytest.mark.parametrize("count", range(1, 9))
def test_the_published_roots(count: int) -> None:
    data = [bytes.fromhex(text) for text in LEAVES[:count]]
    assert merkle.root([merkle.leaf(one) for one in data]).hex() == ROOTS[count - 1]


def test_the_empty_tree() -> None:
    assert merkle.root([]) == naive_root([])


@pytest.mark.parametrize("count", [*range(1, 35), 63, 64, 65, 127, 128, 129])
def test_every_path_of_small_trees_is_the_one_of_the_rfc(count: int) -> None:
    data = [bytes([number % 256]) * 3 for number in range(count)]
    tree = merkle.levels([merkle.leaf(one) for one in data])
    assert tree[-1] == [naive_root(data)]
    for index, one in enumerate(data):
        path = merkle.path(index, tree)
        assert path == naive_path(index, data)
        assert merkle.climb(merkle.leaf(one), index, count, path) == tree[-1][0]


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=70), st.data())
def test_a_path_leads_its_own_leaf_from_its_own_place_and_nothing_else(data: list[bytes], draw: st.DataObject) -> None:
    index = draw.draw(st.integers(0, len(data) - 1))
    tree = merkle.levels([merkle.leaf(one) for one in data])
    path, root = merkle.path(index, tree), naive_root(data)
    assert merkle.climb(merkle.leaf(data[index]), index, len(data), path) == root
    assert merkle.climb(merkle.leaf(data[index] + b"x"), index, len(data), path) != root
    assert merkle.climb(merkle.leaf(data[index]), index, len(data), [*path, root]) is None
    other = draw.draw(st.integers(-2, len(data) + 2).filter(lambda one: one != index))
    if not 0 <= other < len(data) or data[other] != data[index]:
        assert merkle.climb(merkle.leaf(data[index]), other, len(data), path) != root
    if path:
        assert merkle.climb(merkle.leaf(data[index]), index, len(data), path[:-1]) is None


def test_a_node_cannot_be_passed_off_as_a_leaf() -> None:
    left, right = merkle.leaf(b"a"), merkle.leaf(b"b")
    assert merkle.leaf(left + right) != merkle.node(left, right)


# ---- canonical bytes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcz_", max_size=4), inner, max_size=4),
)


@given(JSON)
def test_what_is_written_is_read_again_and_has_one_spelling(value: object) -> None:
    data = canonical.dump(value)
    assert canonical.load(data) == value
    assert canonical.dump(canonical.load(data)) == data


def test_the_spelling_is_that_of_rfc_8785() -> None:
    value = {"b": [1, True, None], "a": '€$\u000f\nA\'B"\\\\"/', "Z": "\ud800"}
    assert canonical.dump(value) == (
        b'{"Z":"\\ud800","a":"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/","b":[1,true,null]}'
    )


@pytest.mark.parametrize(
    "data",
    [
        b'{"b":1,"a":2}', b'{"a":1, "b":2}', b'{"a":1,"a":1}', b'{"a":1.0}', b'{"a":1e3}', b'{"a":NaN}', b'{"a":-0}',
        b'{"a":01}', b'{"a":"\\u0041"}', b'{"a":"\\/"}', b'{"a":9007199254740993}', b'\xef\xbb\xbf{}', b"{}\n", b"",
        b'{"\xc3\xa9":1}', b'"\xff"', b"[" * 100_000, b'{"a":' * 5_000, b"1" * 5_000,
    ],
)  # fmt: skip
def test_no_other_spelling_is_read(data: bytes) -> None:
    with pytest.raises(ValueError):
        canonical.load(data)


@pytest.mark.parametrize("value", [1.0, {"a": 0.1}, {"é": 1}, {1: 2}, [2**53], b"x", {"a": {1, 2}}])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        canonical.dump(value)
