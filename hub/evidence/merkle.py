"""The hash tree of RFC 6962, 2.1: a signed root of 32 bytes, and short paths that lead any one leaf to it.

A level of the tree pairs the hashes of the level below; one that is left over goes up as it is. That is the same tree
as the RFC's split at the largest power of two below n. Leaves and nodes are hashed under different first bytes, so
that no node can be passed off as a leaf.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

EMPTY = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""


def leaf(data: bytes) -> bytes:
    """The hash of one leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node(left: bytes, right: bytes) -> bytes:
    """The hash above two others."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The root above the hashes of the leaves."""
    return levels(leaves)[-1][0] if leaves else EMPTY


def levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Every level of the tree, from the leaves' hashes (at least one) to the root."""
    tree = [list(leaves)]
    while len(tree[-1]) > 1:
        below = tree[-1]
        above = [node(left, right) for left, right in zip(below[::2], below[1::2], strict=False)]
        tree.append(above + below[len(above) * 2 :])
    return tree


def path(index: int, tree: Sequence[Sequence[bytes]]) -> list[bytes]:
    """The hashes beside the way from leaf `index` up to the root of `tree` (`levels`)."""
    beside = []
    for level in tree[:-1]:
        if index ^ 1 < len(level):
            beside.append(level[index ^ 1])
        index >>= 1
    return beside


def climb(hashed: bytes, index: int, count: int, beside: Sequence[bytes]) -> bytes | None:
    """The root that a leaf's hash leads to as number `index` (from 0) of `count`; None where a path of this length
    cannot belong to that place."""
    if not 0 <= index < count:
        return None
    steps = iter(beside)
    last = count - 1
    while last:
        if index ^ 1 <= last:
            other = next(steps, None)
            if other is None:
                return None
            hashed = node(other, hashed) if index & 1 else node(hashed, other)
        index, last = index >> 1, last >> 1
    return hashed if next(steps, None) is None else None
