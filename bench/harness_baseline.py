"""The kept ratios: a measure that falls by more than its margin fails the test command.

- Margins are wide and stand beside the ratios in `baseline.json`: a gate that cries wolf teaches
  people to ignore it. One retry.
- Only ratios of the small size; only measures that are in the file.
- For rates and counts higher is better, for times lower.
"""

from pathlib import Path

import msgspec

from bench.harness import Result

FILE = Path(__file__).with_name("baseline.json")
MARGIN = 0.6
MARGIN_MIN = 0.3
UNKEPT = ("http-code-only", "http-code-only-p99", "overload")
"""Rates by the clock on the wall say nothing on a busy machine; `http-cpu` stands for them."""
HIGHER_IS_BETTER = ("1/s", "count", "goodput")


class Kept(msgspec.Struct, frozen=True):
    """A measure's ratio at small size, and by which share it may get worse."""

    ratio: float
    margin: float = MARGIN


def load_baseline(path: Path = FILE) -> dict[str, Kept]:
    """Read the kept ratios.

    Raises:
        ValueError: A margin is so narrow that noise would trip it.
    """
    kept = msgspec.json.decode(path.read_bytes(), type=dict[str, Kept])
    narrow = [name for name, item in kept.items() if item.margin < MARGIN_MIN]
    if narrow:
        raise ValueError(f"{path}: margins under {MARGIN_MIN}: {', '.join(narrow)}")
    return kept


def fallen(result: Result, kept: Kept) -> str:
    """Say how a measure fell beyond its margin, empty if it didn't or wasn't measured."""
    if result.ratio is None:
        return ""
    if result.unit in HIGHER_IS_BETTER:
        bound = kept.ratio / (1.0 + kept.margin)
        bad, side = result.ratio < bound, "least"
    else:
        bound = kept.ratio * (1.0 + kept.margin)
        bad, side = result.ratio > bound, "most"
    if not bad:
        return ""
    return (f"{result.measure}: ratio {result.ratio:.3g}, at {side} {bound:.3g} is allowed "
            f"(kept {kept.ratio:.3g}, margin {kept.margin:.0%})")


def keep(results: list[Result], path: Path = FILE) -> None:
    """Keep the ratios of a run; margins stay as they are."""
    before = load_baseline(path) if path.is_file() else {}
    for result in results:
        if result.ratio and result.valid and result.measure not in UNKEPT:
            margin = before[result.measure].margin if result.measure in before else MARGIN
            before[result.measure] = Kept(result.ratio, margin)
    data = msgspec.json.encode(dict(sorted(before.items())))
    path.write_bytes(msgspec.json.format(data, indent=2) + b"\n")
