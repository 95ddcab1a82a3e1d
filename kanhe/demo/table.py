"""The demo's table: one row an answer, printed as it comes.

- Widths count East Asian wide characters as two columns.
- A row says whether the answer was the expected one by sign and word, never by
  colour alone.
"""

import sys
import unicodedata
from typing import TextIO

import msgspec

COLUMNS: tuple[tuple[str, int], ...] = (
    ("frame", 35), ("what is tried", 34), ("decision", 8), ("reason", 28), ("ms", 5),
    ("stages (ms)", 61), ("", 13),
)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One answer beside what was expected.

    Attributes:
        frame: What the camera saw.
        tried: The attempt in words.
        expected, got: (decision, reason).
        total_ms: Time of the HTTP call.
        stages_ms: From `Server-Timing`.
    """

    frame: str
    tried: str
    expected: tuple[str, str]
    got: tuple[str, str]
    total_ms: float
    stages_ms: dict[str, float]

    @property
    def as_expected(self) -> bool:
        """Whether decision and reason are the expected ones."""
        return self.expected == self.got


def width(text: str) -> int:
    """Count terminal columns of a text."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def pad(text: str, columns: int) -> str:
    """Fill a text with spaces to a number of columns."""
    return text + " " * max(0, columns - width(text))


class Table:
    """Prints rows and remembers which weren't as expected."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        """Print to `out`."""
        self._out = out
        self.rows: list[Row] = []

    def head(self) -> None:
        """Print the heading."""
        self._line([name for name, _ in COLUMNS])
        self._line(["─" * columns for _, columns in COLUMNS])

    def add(self, row: Row) -> None:
        """Print one row."""
        self.rows.append(row)
        stages = " ".join(f"{name} {ms:.1f}" for name, ms in row.stages_ms.items())
        sign = "✓ as expected" if row.as_expected else f"✗ not {'/'.join(row.expected)}"
        self._line([row.frame, row.tried, *row.got, f"{row.total_ms:.1f}", stages, sign])

    def _line(self, cells: list[str]) -> None:
        padded = [pad(cell, columns) for cell, (_, columns) in zip(cells, COLUMNS, strict=True)]
        self._out.write("  ".join(padded).rstrip() + "\n")
        self._out.flush()

    @property
    def unexpected(self) -> list[Row]:
        """The rows whose answer was another one."""
        return [row for row in self.rows if not row.as_expected]
