"""Proofs of the Merkle log hold and break as published vectors of RFC 6962 say.

The log of eight leaves and its values are those that implementations of Certificate Transparency
publish; the ways to spoil a proof are those of transparency-dev/merkle's test data.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.hotpath.merkle import EMPTY_ROOT, Branch, Frontier, consistent, hash_leaf, included

INPUTS = [bytes.fromhex(item) for item in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
    "606162636465666768696a6b6c6d6e6f")]
LEAVES = [hash_leaf(item) for item in INPUTS]
ROOTS = [bytes.fromhex(item) for item in (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328")]
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
G = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
H = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
I = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"  # noqa: E741
J = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f"
INCLUSION = [(0, 1, ""), (0, 8, (A, B, C)), (5, 8, (D, E, F)), (2, 3, (G,)), (1, 5, (H, B, D))]
CONSISTENCY = [
    (1, 1, ""), (1, 8, (A, B, C)), (6, 8, (I, E, F)), (2, 5, (B, D)), (6, 7, (I, J, F))]
GARBAGE = bytes(32)
SHORT = b"dont care"


def bytes_of(path):
    return [bytes.fromhex(item) for item in path]


def whole(count=8):
    return Branch(Frontier(), LEAVES[:count])


def test_roots_are_the_published_ones():
    assert whole(0).root() == EMPTY_ROOT
    tree = Frontier()
    for size, (leaf, root) in enumerate(zip(LEAVES, ROOTS, strict=True), 1):
        tree.append(leaf)
        assert tree.root() == whole().root(size) == root


@pytest.mark.parametrize("index,size,path", INCLUSION)
def test_inclusion_proofs_are_the_published_ones_and_hold(index, size, path):
    assert whole().inclusion(index, size) == bytes_of(path)
    assert included(index, size, LEAVES[index], bytes_of(path), ROOTS[size - 1])


@pytest.mark.parametrize("old,new,path", CONSISTENCY)
def test_consistency_proofs_are_the_published_ones_and_hold(old, new, path):
    assert whole().consistency(old, new) == bytes_of(path)
    assert consistent(old, ROOTS[old - 1], new, ROOTS[new - 1], bytes_of(path))


def spoiled_paths(path, *roots):
    """Every published way to spoil the path itself."""
    yield "trailing garbage", [*path, GARBAGE]
    yield "preceding garbage", [GARBAGE, *path]
    for root in roots:
        yield "trailing root", [*path, root]
        yield "preceding root", [root, *path]
    if path:
        yield "empty", []
        yield "truncated", path[:-1]
        yield "removed component", path[1:]
        yield "preceding component again", [path[0], *path]
        yield "inserted component", [path[0], GARBAGE, *path[1:]]
        yield "shortened component", [path[0][:-1], *path[1:]]
    for number, item in enumerate(path):
        for bit in (3, 4):
            changed = bytes((item[0] ^ (1 << bit),)) + item[1:]
            yield f"bit of {number}", [*path[:number], changed, *path[number + 1:]]


@pytest.mark.parametrize("index,size,path", INCLUSION)
def test_a_spoiled_inclusion_proof_is_refused(index, size, path):
    path, leaf, root = bytes_of(path), LEAVES[index], ROOTS[size - 1]
    for name, spoiled in spoiled_paths(path, root):
        assert not included(index, size, leaf, spoiled, root), name
    for other in {index - 1, index + 1, index ^ 2}:
        assert not included(other, size, leaf, path, root), other
    for other in {size * 2, size // 2} - {size}:
        assert not included(index, other, leaf, path, root), other
    for other in (b"", SHORT, GARBAGE, EMPTY_ROOT, LEAVES[index - 1]):
        assert not included(index, size, other, path, root)
        assert other == root or not included(index, size, leaf, path, other)
    assert not included(index, size, b"", path, b"")


@pytest.mark.parametrize("old,new,path", CONSISTENCY[1:])
def test_a_spoiled_consistency_proof_is_refused(old, new, path):
    path, first, second = bytes_of(path), ROOTS[old - 1], ROOTS[new - 1]
    for name, spoiled in spoiled_paths(path, first, second):
        assert not consistent(old, first, new, second, spoiled), name
    for other in {old - 1, old + 1, old ^ 2} - {old}:
        assert not consistent(other, first, new, second, path), other
    for other in {new * 2, new // 2} - {new}:
        assert not consistent(old, first, other, second, path), other
    assert not consistent(old, second, new, first, path)
    assert not consistent(new, second, old, first, path)
    for wrong in (b"", SHORT, GARBAGE, EMPTY_ROOT):
        assert not consistent(old, wrong, new, second, path)
        assert not consistent(old, first, new, wrong, path)


@pytest.mark.parametrize("old,new,first,second,path,holds", [
    (1, 1, SHORT, SHORT, [], True),
    (1, 1, SHORT, b"other", [], False),
    (1, 1, EMPTY_ROOT, EMPTY_ROOT, [EMPTY_ROOT], False),
    (0, 0, SHORT, SHORT, [], False),
    (0, 0, EMPTY_ROOT, EMPTY_ROOT, [EMPTY_ROOT], False),
    (0, 1, EMPTY_ROOT, SHORT, [], False),
    (0, 1, EMPTY_ROOT, EMPTY_ROOT, [EMPTY_ROOT], False),
    (1, 0, SHORT, b"other", [], False),
    (2, 1, SHORT, b"other", [], False),
    (1, 2, SHORT, b"other", [], False),
    (-1, 1, SHORT, SHORT, [], False),
])
def test_equal_empty_and_swapped_sizes_are_judged_as_published(
    old, new, first, second, path, holds
):
    assert consistent(old, first, new, second, path) is holds


@pytest.mark.parametrize("leaf,root", [(b"", LEAVES[0]), (b"", b""), (LEAVES[0], b"")])
def test_a_tree_of_one_takes_no_empty_hashes(leaf, root):
    assert not included(0, 1, leaf, [], root)
    assert included(0, 1, LEAVES[0], [], LEAVES[0])


@given(st.integers(1, 70), st.data())
def test_what_is_built_holds_from_any_frontier(size, data):
    leaves = [hash_leaf(bytes((number,))) for number in range(size)]
    first = data.draw(st.integers(0, size - 1))
    before = Frontier()
    for leaf in leaves[:first]:
        before.append(leaf)
    branch, all_of_it = Branch(before, leaves[first:]), Branch(Frontier(), leaves)
    index, new = data.draw(st.integers(first, size - 1)), data.draw(st.integers(1, size))
    if new > index:
        path = branch.inclusion(index, new)
        assert path == all_of_it.inclusion(index, new)
        assert included(index, new, leaves[index], path, all_of_it.root(new))
    old = data.draw(st.integers(1, new))
    if old >= first:
        path = branch.consistency(old, new)
        assert path == all_of_it.consistency(old, new)
        assert consistent(old, all_of_it.root(old), new, all_of_it.root(new), path)
        assert old == new or not consistent(old, GARBAGE, new, all_of_it.root(new), path)


def test_what_was_retired_is_not_proved():
    before = Frontier()
    for leaf in LEAVES[:4]:
        before.append(leaf)
    branch = Branch(before, LEAVES[4:])
    for ask in (lambda: branch.inclusion(3, 8), lambda: branch.inclusion(5, 9),
                lambda: branch.consistency(3, 8), lambda: branch.root(3)):
        with pytest.raises(ValueError, match=r"known|held"):
            ask()
