"""The picture of peers: for each question a bar for each, as long as its figure is large.

- Within a question the longest bar is the largest figure; questions aren't comparable.
- Ours is told from the others by its colour and by its words.
"""

from collections.abc import Sequence
from html import escape

from bench.harness import Row
from bench.harness_baseline import HIGHER_IS_BETTER

_WIDTH, _ROW, _GAP, _LEFT, _RIGHT = 880, 22, 34, 260, 230
_OURS, _THEIRS, _INK = "#0b6e4f", "#94a3b8", "#334155"
OURS = ("ours", "node", "frame reader")
"""How the names of our own begin."""


def draw_peers(rows: Sequence[Row]) -> str:
    """Draw the figures of all peers that were measured, question by question."""
    questions: dict[str, list[Row]] = {}
    for row in rows:
        if row.figure > 0.0:
            questions.setdefault(row.question, []).append(row)
    parts, y = [], 24.0
    for question, asked in questions.items():
        better = "higher" if asked[0].unit in HIGHER_IS_BETTER else "lower"
        parts.append(_text(12, y, f"{question} ({asked[0].unit}, {better} is better)", "start",
                           "600"))
        largest = max(row.figure for row in asked)
        for row in asked:
            y += _ROW
            parts += _bar(row, y, largest)
        y += _GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y:.0f}" role="img" '
        'font-family="system-ui, sans-serif" font-size="12"><title>Peers side by side</title>'
        f'<rect width="{_WIDTH}" height="{y:.0f}" fill="#ffffff"/>{"".join(parts)}</svg>\n')


def _bar(row: Row, y: float, largest: float) -> list[str]:
    wide = max(2.0, (_WIDTH - _LEFT - _RIGHT) * row.figure / largest)
    colour = _OURS if row.peer.startswith(OURS) else _THEIRS
    said = f"{row.figure:,.3g} {row.unit}" + (f", found {row.read}" if row.read else "")
    return [
        _text(_LEFT - 10, y, row.peer, "end"),
        f'<rect x="{_LEFT}" y="{y - 11:.1f}" width="{wide:.1f}" height="14" fill="{colour}"/>',
        _text(_LEFT + wide + 8, y, said, "start"),
    ]


def _text(x: float, y: float, text: str, anchor: str, weight: str = "400") -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" fill="{_INK}" text-anchor="{anchor}" '
            f'font-weight="{weight}">{escape(text)}</text>')
