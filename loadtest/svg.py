"""Small pictures as inline SVG: lines, bars, ratios; no script, no style sheet from outside.

- Every picture carries a title for who can't see it; every figure in it is in a table as well.
- Values in, text out.
"""

import math
from collections.abc import Sequence
from html import escape

import msgspec

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 30, 40
COLOURS = ("#0b6e4f", "#c2410c", "#1d4ed8", "#6b21a8", "#64748b", "#a16207")
_INK, _RULE = "#334155", "#e2e8f0"
_TICKS = 5


class Line(msgspec.Struct, frozen=True):
    """One line; points are (x, y), y may be None where there is nothing."""

    name: str
    points: Sequence[tuple[float, float | None]]


class Axis(msgspec.Struct, frozen=True, kw_only=True):
    """One axis: its words, whether it is logarithmic, and labels that replace the numbers."""

    label: str
    log: bool = False
    ticks: Sequence[tuple[float, str]] = ()


def line_chart(title: str, lines: Sequence[Line], x: Axis, y: Axis) -> str:
    """Draw lines over common axes."""
    points = [(px, py) for line in lines for px, py in line.points if py is not None]
    if not points:
        return f"<p>{escape(title)}: nothing to draw.</p>"
    across = _Scale([px for px, _ in points], x, LEFT, WIDTH - RIGHT, from_zero=not x.ticks)
    upwards = _Scale([py for _, py in points], y, HEIGHT - BOTTOM, TOP, from_zero=True)
    parts = [_open(title, HEIGHT), *_grid(across, upwards, x, y)]
    for index, line in enumerate(lines):
        colour = COLOURS[index % len(COLOURS)]
        parts += [
            f'<polyline fill="none" stroke="{colour}" stroke-width="1.8" points="{run}"/>'
            for run in _runs(line, across, upwards)
        ]
        at = LEFT + 8 + index * 150
        parts.append(f'<rect x="{at}" y="8" width="12" height="4" fill="{colour}"/>')
        parts.append(_text(at + 16, 14, line.name, "start"))
    return "".join((*parts, "</svg>"))


def bar_chart(title: str, rows: Sequence[tuple[str, float]], unit: str) -> str:
    """Draw horizontal bars, each with its value."""
    if not rows:
        return f"<p>{escape(title)}: nothing to draw.</p>"
    tall, start = 24, 250
    most = max(value for _, value in rows) or 1.0
    parts = [_open(title, 10 + tall * len(rows))]
    for index, (name, value) in enumerate(rows):
        y = 4 + index * tall
        wide = (WIDTH - start - 110) * value / most
        parts.append(_text(start - 8, y + 13, name, "end"))
        parts.append(f'<rect x="{start}" y="{y + 2}" width="{wide:.1f}" height="15" '
                     f'fill="{COLOURS[index % len(COLOURS)]}"/>')
        parts.append(_text(start + wide + 6, y + 13, f"{_number(value)} {unit}", "start"))
    return "".join((*parts, "</svg>"))


class _Scale:
    """Places values on one axis, in pixels."""

    def __init__(
        self, values: Sequence[float], axis: Axis, start: float, end: float, *, from_zero: bool
    ) -> None:
        self._log, self._start, self._end = axis.log, start, end
        positive = [value for value in values if value > 0.0] or [1.0]
        self.low = 0.0 if from_zero else min(values)
        self.high = max(*values, self.low + 1e-9)
        if axis.log:
            self.low = float(math.floor(math.log10(min(positive))))
            self.high = max(float(math.ceil(math.log10(max(positive)))), self.low + 1.0)

    def at(self, value: float) -> float:
        """Give the coordinate of a value, in pixels, within the axis."""
        place = math.log10(max(value, 10.0**self.low)) if self._log else value
        share = (place - self.low) / (self.high - self.low)
        return self._start + (self._end - self._start) * min(1.0, max(0.0, share))

    def ticks(self) -> list[tuple[float, str]]:
        """Give values to mark, with their words."""
        if self._log:
            values = [10.0**power for power in range(int(self.low), int(self.high) + 1)]
        else:
            step = _round_step((self.high - self.low) / _TICKS)
            first = math.ceil(self.low / step - 1e-9)
            values = [step * index for index in range(first, math.floor(self.high / step) + 1)]
        return [(value, _number(value)) for value in values]


def _round_step(step: float) -> float:
    """Give the next number that people count by: 1, 2, 2.5 or 5, times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(nice * power for nice in (1.0, 2.0, 2.5, 5.0, 10.0) if nice * power >= step * 0.999)


def _grid(across: _Scale, upwards: _Scale, x: Axis, y: Axis) -> list[str]:
    parts = []
    for value, label in y.ticks or upwards.ticks():
        at = upwards.at(value)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" '
                     f'stroke="{_RULE}"/>')
        parts.append(_text(LEFT - 6, at + 4, label, "end"))
    for value, label in x.ticks or across.ticks():
        parts.append(_text(across.at(value), HEIGHT - BOTTOM + 16, label, "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x.label, "middle"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<text x="14" y="{middle}" font-size="11" fill="{_INK}" text-anchor="middle" '
                 f'transform="rotate(-90 14 {middle})">{escape(y.label)}</text>')
    return parts


def _runs(line: Line, across: _Scale, upwards: _Scale) -> list[str]:
    """Split a line where it has nothing."""
    runs: list[list[str]] = [[]]
    for px, py in line.points:
        if py is None:
            runs.append([])
        else:
            runs[-1].append(f"{across.at(px):.1f},{upwards.at(py):.1f}")
    return [" ".join(run) for run in runs if run]


def _open(title: str, height: int) -> str:
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'font-family="system-ui, sans-serif" role="img"><title>{escape(title)}</title>'
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>')


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="11" fill="{_INK}" '
            f'text-anchor="{anchor}">{escape(text)}</text>')


def _number(value: float) -> str:
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"
