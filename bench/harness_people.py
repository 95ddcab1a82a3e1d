"""People that are drawn: references and probes whose cosines are those of a pack.

- Rows are drawn from a population: a common mean, the rest with a spectrum that falls as a
  power, so that impostor cosines have a stated mean and deviation; then turned at random, as a
  site's key does, and made int8 by their own maximum. Probes share with their row what a
  drawn genuine score says and have the population's spectrum otherwise.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int8]


class Population(NamedTuple):
    """What cosines of a pack look like.

    `effective` is 1 / variance of impostors' cosines once the mean is gone; `genuine_mean` and
    `genuine_sd` are of the scores of two captures of one person.
    """

    dimensions: int
    mean_cosine: float
    effective: float
    genuine_mean: float
    genuine_sd: float


class People:
    """Draws rows and probes of a population."""

    def __init__(self, population: Population, seed: int) -> None:
        """Fit the spectrum and draw the turn."""
        self._of, self._rng = population, np.random.default_rng(seed)
        d = population.dimensions
        self._deviations = np.sqrt(power_spectrum(d, population.effective)).astype(np.float32)
        turn, _ = np.linalg.qr(self._rng.standard_normal((d, d)))
        self._turn = turn.astype(np.float32)
        self._mean = np.float32(np.sqrt(population.mean_cosine)) * self._turn[0]

    def rows(self, count: int) -> Rows:
        """Draw references of so many persons, int8 (count, d)."""
        return to_rows(self._mean + self._rest(count))

    def probes(self, rows: Rows) -> Rows:
        """Draw one capture of each reference's person."""
        of = self._of
        units = rows / np.linalg.norm(rows.astype(np.float32), axis=1, keepdims=True)
        score = self._rng.normal(of.genuine_mean, of.genuine_sd, len(rows))
        shared = np.clip((score - of.mean_cosine) / (1 - of.mean_cosine), 0.0, 0.999)
        shared = shared[:, None].astype(np.float32)
        rest = (units - self._mean) * shared + np.sqrt(1 - shared**2) * self._rest(len(rows))
        return to_rows(self._mean + rest)

    def _rest(self, count: int) -> Floats:
        drawn = self._rng.standard_normal((count, len(self._deviations)), np.float32)
        drawn *= self._deviations * np.float32(np.sqrt(1 - self._of.mean_cosine))
        rest: Floats = drawn @ self._turn
        return rest


def power_spectrum(dimensions: int, effective: float) -> npt.NDArray[np.float64]:
    """Give variances ∝ rank^−a that sum to 1, with a such that 1 / Σ variance² is `effective`."""
    low, high = 0.0, 4.0
    ranks = np.arange(1, dimensions + 1)
    for _ in range(60):
        middle = (low + high) / 2
        variances = ranks**-middle
        variances /= variances.sum()
        low, high = (middle, high) if 1 / (variances**2).sum() > effective else (low, middle)
    return np.asarray(variances, np.float64)


def to_rows(features: Floats) -> Rows:
    """Make int8 templates as the pack does: each scaled by its own maximum."""
    peak = np.abs(features).max(axis=1, keepdims=True)
    return np.asarray(np.rint(features * (127.0 / peak)), np.int8)
