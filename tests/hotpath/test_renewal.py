"""The keyed rotation: as it is written down, keeping comparisons, over many renewals."""

import hashlib
import math
import struct

import numpy as np
import pytest

from edge.hotpath.holder import compare_templates
from edge.hotpath.renewal import (
    DIMENSIONS_MAX,
    derive_rotation,
    protect,
    renew,
    renewal_matrix,
    split,
    whole,
)

RENEWALS = 10
PAIRS = 6_000


def secret(n):
    return hashlib.sha256(b"secret %d" % n).digest()


def as_written(key, pack, d):
    """The rotation from its description alone, in plain Python, by Gram and Schmidt."""
    half = (d * d + 1) // 2
    seed = b"kanhe/reference/rotation/1\0" + key + struct.pack(">I", d) + pack.encode()
    numbers = struct.unpack(f"<{2 * half}I", hashlib.shake_256(seed).digest(8 * half))
    u = [(k + 0.5) / 2**32 for k in numbers]
    radius = [math.sqrt(-2 * math.log(x)) for x in u[:half]]
    normal = [r * math.cos(2 * math.pi * x) for r, x in zip(radius, u[half:], strict=True)]
    normal += [r * math.sin(2 * math.pi * x) for r, x in zip(radius, u[half:], strict=True)]
    columns = []
    for j in range(d):
        column = [normal[i * d + j] for i in range(d)]
        for _ in range(2):
            for done in columns:
                along = sum(a * b for a, b in zip(column, done, strict=True))
                column = [a - along * b for a, b in zip(column, done, strict=True)]
        length = math.sqrt(sum(a * a for a in column))
        columns.append([a / length for a in column])
    return np.array(columns).T


@pytest.mark.parametrize("d", [1, 5, 16])
def test_the_rotation_is_the_one_that_is_written_down(d):
    found = derive_rotation(secret(1), "包-v1", d)
    assert found == pytest.approx(as_written(secret(1), "包-v1", d), abs=1e-6)


@pytest.mark.parametrize("d", [1, 100, 128, 512])
def test_it_is_orthogonal(d):
    rotation = derive_rotation(secret(1), "p", d)
    assert rotation @ rotation.T == pytest.approx(np.eye(d), abs=1e-5)


def test_secret_pack_and_length_each_make_another():
    one = derive_rotation(secret(1), "p", 128)
    for other in (derive_rotation(secret(2), "p", 128), derive_rotation(secret(1), "q", 128),
                  derive_rotation(secret(1), "p", 129)[:128, :128]):
        assert abs(float((one * other).sum()) / 128) < 0.1


@pytest.mark.parametrize("key,d", [
    (b"short", 128), (bytes(32), 0), (bytes(32), DIMENSIONS_MAX + 1)])
def test_what_can_not_be_a_rotation_is_refused(key, d):
    with pytest.raises(ValueError, match="dimensions"):
        derive_rotation(key, "p", d)


@pytest.mark.parametrize("values", [
    np.zeros((3, 8)), np.full((3, 8), -1.0), np.eye(8), np.full((1, 8), 1e-38)])
def test_both_planes_together_are_the_values(values):
    coarse, fine = split(values.astype(np.float32))
    assert (coarse.dtype, fine.dtype) == (np.int8, np.int8)
    peak = np.abs(values).max(axis=-1, keepdims=True)
    expected = values / np.where(peak > 1e-30, peak, np.inf)
    assert whole(coarse, fine) / (127 * 256) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("d", [128, 512])
def test_ten_renewals_move_no_score(d):
    one, other = pairs(d)
    scores = cosines(one, other)
    assert scores.min() < 0.05
    assert scores.max() > 0.95
    rotation = derive_rotation(secret(0), "p", d)
    coarse, fine = renew(one, None, renewal_matrix(None, rotation))
    for generation in range(1, RENEWALS + 1):
        following = derive_rotation(secret(generation), "p", d)
        coarse, fine = renew(coarse, fine, renewal_matrix(rotation, following))
        rotation = following
    probes = [protect(row, rotation) for row in other]
    moved = [
        abs(compare_templates(whole(coarse[n], fine[n]), whole(*probe)) - scores[n])
        for n, probe in enumerate(probes)]
    assert max(moved) <= 1e-4  # the bound that is promised is 0.002
    rough = cosines(coarse, np.array([probe[0] for probe in probes]))
    assert abs(rough - scores).max() <= 0.008


def pairs(d):
    """Templates from the same person to strangers at a right angle."""
    rng = np.random.default_rng(d)
    one, noise = rng.normal(size=(2, PAIRS, d))
    apart = rng.uniform(0, 1.5, (PAIRS, 1)) * (np.arange(PAIRS) < PAIRS // 2)[:, None]
    other = np.where(np.arange(PAIRS)[:, None] < PAIRS // 2, one + apart * noise, noise)
    return tuple(
        np.rint(x * (127 / abs(x).max(axis=1, keepdims=True))).astype(np.int8)
        for x in (one, other))


def cosines(a, b):
    a, b = a.astype(float), b.astype(float)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
