"""The picture that `make bench` draws: every ratio on a logarithmic axis, with its target.

- One is as fast as the comparison; better is to the left for times and to the right for rates, so
  each row says which it is by words and colour.
- `python -m bench.harness_picture RESULTS.jsonl OUT.svg` draws it again from kept lines.
"""

import math
import sys
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

import msgspec

from bench.harness import Result
from bench.harness_baseline import HIGHER_IS_BETTER

TARGETS: dict[str, float] = {
    "http-code-only": 0.5, "http-code-only-p99": 2.0, "presentation-check": 3.0,
    "frame-to-text": 1.2, "code-and-face": 1.2, "overload": 0.9, "metrics-cost": 0.03,
}
"""At least (rates) or at most (times)."""
_WIDTH, _ROW, _TOP, _LEFT, _RIGHT = 880, 26, 56, 190, 310
_GOOD, _SHORT, _NONE, _INK, _RULE = "#0b6e4f", "#c2410c", "#1d4ed8", "#334155", "#e2e8f0"


def draw(results: Sequence[Result]) -> str:
    """Draw the ratios that were measured."""
    rows = [item for item in results if item.ratio is not None and item.ratio > 0.0]
    ratios = [float(item.ratio or 1.0) for item in rows]
    targets = [TARGETS[item.measure] for item in rows if item.measure in TARGETS]
    low = math.floor(min(math.log10(value) for value in (*ratios, *targets, 1.0)))
    high = max(math.ceil(max(math.log10(value) for value in (*ratios, *targets, 1.0))), low + 1)

    def at(value: float) -> float:
        """Give the x coordinate of a ratio, in pixels."""
        share = (math.log10(value) - low) / (high - low)
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * share

    tall = _TOP + _ROW * len(rows) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {tall}" role="img" '
        'font-family="system-ui, sans-serif" font-size="12"><title>Benchmarks: ours / theirs'
        f'</title><rect width="{_WIDTH}" height="{tall}" fill="#ffffff"/>',
        _text(_LEFT, 18, "ours / theirs; │ marks the target", "start"),
    ]
    for power in range(low, high + 1):
        x = at(10.0**power)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 10}" y2="{tall - 8}" '
                     f'stroke="{_INK if power == 0 else _RULE}"/>')
        parts.append(_text(x, _TOP - 16, f"{10.0**power:g}", "middle"))
    for index, item in enumerate(rows):
        parts += _row(item, _TOP + index * _ROW, at)
    return "".join((*parts, "</svg>\n"))


def _row(item: Result, y: float, at: Callable[[float], float]) -> list[str]:
    ratio = float(item.ratio or 1.0)
    higher = item.unit in HIGHER_IS_BETTER
    target = TARGETS.get(item.measure)
    met = target is not None and (ratio >= target if higher else ratio <= target)
    colour = _NONE if target is None else _GOOD if met else _SHORT
    start, end = sorted((at(1.0), at(ratio)))
    said = f"{ratio:.3g}, {'higher' if higher else 'lower'} is better"
    if target is not None:
        said += f"; target {target:g} {'met' if met else 'missed'}"
    if not item.valid:
        said += "; not valid"
    parts = [
        _text(_LEFT - 10, y + 13, item.measure, "end"),
        f'<rect x="{start:.1f}" y="{y + 4}" width="{max(2.0, end - start):.1f}" height="12" '
        f'fill="{colour}"/>',
        _text(_WIDTH - _RIGHT + 8, y + 13, said, "start"),
    ]
    if target is not None:
        x = at(target)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{y + 20}" stroke="{_INK}" '
                     'stroke-width="2"/>')
    return parts


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" fill="{_INK}" text-anchor="{anchor}">'
            f"{escape(text)}</text>")


if __name__ == "__main__":
    source, out = (Path(name) for name in sys.argv[1:3])
    out.write_text(draw(msgspec.json.Decoder(Result).decode_lines(source.read_bytes())), "utf-8")
