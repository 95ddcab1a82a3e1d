"""Renewable references: a keyed rotation that hides a template and keeps every comparison.

- ISO/IEC 24745 terms: the rotation is the auxiliary data (secret, the site's), what it makes of a
  template is the pseudonymous identifier. Another secret makes unlinkable ones: the image of a unit
  vector under a rotation drawn from all rotations alike is uniform, whatever the vector was.
- Cosines are those of the templates, because a rotation keeps inner products. For that very reason
  the pattern of scores *within* a store stays: see docs/adr/0006-renewable-references.md.
- Two planes of int8: `coarse` is the template that galleries and cohorts compare, `fine` what
  rounding left over. With both, renewing again and again costs nothing that shows.
- Templates are scaled by their own largest value before and after, so no length is stored: a kept
  length would be a name.
- Not here: where the secret lives (edge.cache.references).
"""

import hashlib

import numpy as np
import numpy.typing as npt

SECRET_BYTES = 32
DIMENSIONS_MAX = 1_024
"""Longest template; its rotation takes 4 MB and under a second to make."""
PLANE = 256
"""One step of `coarse` is this many of `fine`."""
_PEAK = 127 * PLANE
_CONTEXT = b"kanhe/reference/rotation/1\x00"

Plane = npt.NDArray[np.int8]
Values = npt.NDArray[np.float32]


def derive_rotation(secret: bytes, pack: str, dimensions: int) -> Values:
    r"""Give the rotation of a secret for the templates of one pack.

    Haar-distributed (Stewart 1980): the orthogonal factor Q of a square Gaussian matrix whose
    triangular factor has a positive diagonal, which makes it unique. The Gaussian matrix is filled
    row by row from SHAKE-256(`kanhe/reference/rotation/1\0` ‖ secret ‖ d as 4 bytes ‖ pack), read
    as little-endian 32-bit numbers k, u = (k + 1/2) / 2³²: with the first half of them as u₁ and
    the second as u₂, √(−2 ln u₁)·cos 2πu₂ gives the first half of the entries and
    √(−2 ln u₁)·sin 2πu₂ the second (Box and Muller 1958); one more is drawn where d² is odd.

    Args:
        secret: The site's, 32 bytes.
        pack: Id of the pack.
        dimensions: d, 1 to `DIMENSIONS_MAX`.

    Returns:
        float32, shape (d, d); its rows are orthonormal.

    Raises:
        ValueError: A secret or number of dimensions that can't be.
    """
    if len(secret) != SECRET_BYTES or not 1 <= dimensions <= DIMENSIONS_MAX:
        raise ValueError(f"{len(secret)} bytes of secret, {dimensions} dimensions")
    half = (dimensions * dimensions + 1) // 2
    seed = _CONTEXT + secret + dimensions.to_bytes(4, "big") + pack.encode()
    drawn = np.frombuffer(hashlib.shake_256(seed).digest(8 * half), "<u4")
    uniform = (drawn + 0.5) / 2.0**32
    radius, angle = np.sqrt(-2.0 * np.log(uniform[:half])), 2.0 * np.pi * uniform[half:]
    normal = np.concatenate((radius * np.cos(angle), radius * np.sin(angle)))
    square = normal[: dimensions * dimensions].reshape(dimensions, dimensions)
    orthogonal, triangular = np.linalg.qr(square)
    return np.asarray(orthogonal * np.sign(np.diag(triangular)), np.float32)


def protect(template: Plane, rotation: Values) -> tuple[Plane, Plane]:
    """Rotate one template, int8 of shape (d,), into stored space; both planes."""
    return split(rotation @ template.astype(np.float32))


def renewal_matrix(old: Values | None, new: Values) -> Values:
    """Give the matrix that `renew` multiplies rows with; `old` is None for unprotected ones."""
    return new.T.copy() if old is None else np.asarray(
        old.astype(np.float64) @ new.T.astype(np.float64), np.float32)


def renew(coarse: Plane, fine: Plane | None, matrix: Values) -> tuple[Plane, Plane]:
    """Take rows, shape (n, d), from one rotation to the next; both planes."""
    return split(whole(coarse, fine) @ matrix)


def split(values: Values) -> tuple[Plane, Plane]:
    """Round values to both planes, each row scaled by its own largest; shape (…, d)."""
    peak = np.maximum(np.abs(values).max(axis=-1, keepdims=True), np.float32(1e-30))
    scaled = np.rint(values * (np.float32(_PEAK) / peak)).astype(np.int32)
    coarse = (scaled + PLANE // 2) >> 8
    return coarse.astype(np.int8), (scaled - coarse * PLANE).astype(np.int8)


def whole(coarse: Plane, fine: Plane | None) -> Values:
    """Give the values of both planes, or of the coarse one alone; only their direction means."""
    values = coarse.astype(np.float32)
    return values if fine is None else values * PLANE + fine
