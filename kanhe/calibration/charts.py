"""Two pictures as inline SVG: error curve and score histogram.

- Colours come from the page's own variables, so both of its themes fit.
- No script, no font, no file from elsewhere.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge.models.operating import SitePoint
from kanhe.calibration.measure import error_curve
from kanhe.calibration.score import BINS, Scored, histogram

WIDE, TALL = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 12, 44
FLOOR = 1e-5
"""Left and lower end of the error curve's axes."""


def draw_errors(scored: Scored, points: Sequence[SitePoint]) -> str:
    """Draw FNMR over FMR (DET), both logarithmic, with the fitted points and their intervals."""
    fmr, fnmr = error_curve(scored)
    low, under = _low_end(scored.impostor_total), _low_end(len(scored.genuine))

    def x(rate: float) -> float:
        return LEFT + _share(rate, low) * (WIDE - LEFT - RIGHT)

    def y(rate: float) -> float:
        return TALL - BOTTOM - _share(rate, under) * (TALL - TOP - BOTTOM)

    parts = [_frame("FNMR over FMR")]
    parts += [_tick_x(x(rate), f"{rate:g}") for rate in _decades(low)]
    parts += [_tick_y(y(rate), f"{rate:g}") for rate in _decades(under)]
    parts.append(_axis_names("FMR", "FNMR"))
    if len(fmr):
        line = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in zip(fmr, fnmr, strict=True))
        parts.append(f'<polyline class="curve" points="{line}"/>')
    for point in points:
        if point.fnmr is None:
            continue
        at, height = x(point.errors / max(1, scored.impostor_total)), y(point.fnmr)
        parts.append(
            f'<path class="reach" d="M{x(point.fmr_low):.1f} {height:.1f}H{x(point.fmr_high):.1f}'
            f'M{at:.1f} {y(point.fnmr_low or 0):.1f}V{y(point.fnmr_high or 0):.1f}"/>'
            f'<circle class="dot" cx="{at:.1f}" cy="{height:.1f}" r="4"><title>FMR {point.fmr:g}, '
            f"FNMR {point.fnmr:.3g}, threshold {point.threshold:.4f}</title></circle>")
    return "".join(parts) + "</svg>"


def draw_scores(scored: Scored, points: Sequence[SitePoint]) -> str:
    """Draw how genuine and impostor scores lie, each as a share of its own kind."""
    kinds = (("impostor", scored.impostor_counts), ("genuine", histogram(scored.genuine)))
    held = np.nonzero(kinds[0][1] + kinds[1][1])[0]
    first, last = (int(held[0]), int(held[-1]) + 1) if len(held) else (0, BINS)
    step = max(1, (last - first) // 80)
    edges = np.arange(first, last + step, step)
    low, high = -1 + 2 * edges[0] / BINS, -1 + 2 * edges[-1] / BINS
    shares = {name: _binned(counts, edges) for name, counts in kinds}
    peak = max(float(share.max(initial=0.0)) for share in shares.values()) or 1.0

    def x(score: float) -> float:
        return float(LEFT + (score - low) / (high - low) * (WIDE - LEFT - RIGHT))

    def y(share: float) -> float:
        return TALL - BOTTOM - share / peak * (TALL - TOP - BOTTOM)

    parts = [_frame("Scores of genuine and impostor comparisons")]
    parts += [_tick_x(x(score), f"{score:.2f}") for score in np.linspace(low, high, 6)]
    parts += [_tick_y(y(share), f"{100 * share:.2g} %") for share in np.linspace(0, peak, 5)]
    for name, share in shares.items():
        path = f"M{x(low):.1f} {y(0):.1f}"
        for place, value in enumerate(share):
            path += f"V{y(value):.1f}H{x(-1 + 2 * edges[place + 1] / BINS):.1f}"
        parts.append(f'<path class="{name}" d="{path}V{y(0):.1f}Z"/>')
    for point in points:
        if low <= point.threshold <= high:
            parts.append(f'<path class="cut" d="M{x(point.threshold):.1f} {TOP}V{TALL - BOTTOM}">'
                         f"<title>threshold for FMR {point.fmr:g}</title></path>")
    parts.append(_axis_names("score", "share"))
    return "".join(parts) + "</svg>"


def _binned(
    counts: npt.NDArray[np.int64], edges: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    sums = np.array([counts[a:b].sum() for a, b in itertools.pairwise(edges)])
    return np.asarray(sums / max(1, int(counts.sum())), np.float64)


def _share(rate: float, low: float) -> float:
    """Give the place of a rate on a logarithmic axis, 0 at its low end."""
    return 1 - math.log10(min(1.0, max(low, rate))) / math.log10(low)


def _low_end(trials: int) -> float:
    """Give the power of ten below the lowest rate that so many trials can show."""
    return max(FLOOR, 10.0 ** math.floor(-math.log10(max(2, trials))))


def _decades(low: float) -> list[float]:
    return [10.0**power for power in range(round(math.log10(low)), 1)]


def _frame(title: str) -> str:
    return (f'<svg viewBox="0 0 {WIDE} {TALL}" role="img"><title>{title}</title>'
            f'<path class="axis" d="M{LEFT} {TOP}V{TALL - BOTTOM}H{WIDE - RIGHT}"/>')


def _tick_x(at: float, text: str) -> str:
    return (f'<path class="grid" d="M{at:.1f} {TOP}V{TALL - BOTTOM}"/>'
            f'<text x="{at:.1f}" y="{TALL - BOTTOM + 16}" text-anchor="middle">{text}</text>')


def _tick_y(at: float, text: str) -> str:
    return (f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDE - RIGHT}"/>'
            f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{text}</text>')


def _axis_names(across: str, up: str) -> str:
    return (f'<text class="name" x="{(LEFT + WIDE - RIGHT) / 2}" y="{TALL - 6}" '
            f'text-anchor="middle">{across}</text>'
            f'<text class="name" x="14" y="{TALL / 2}" text-anchor="middle" '
            f'transform="rotate(-90 14 {TALL / 2})">{up}</text>')
