"""What `docs/performance.md` shows: tables and pictures, made from kept lines of measured runs.

- `measured.json` holds the last lines of each measure and peer as they were printed, with the size
  of the run and the machine's load; a test compares the document with what is made of them.
- A later run replaces the lines of what it measured and leaves the others.
- Not here: explanations, which people write around the marks.
"""

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from bench.harness import Result, Row
from bench.harness_bars import draw_peers
from bench.harness_picture import TARGETS, draw

FILE = Path(__file__).with_name("measured.json")
DOCS = Path(__file__).resolve().parents[1] / "docs"
DOCUMENT = DOCS / "performance.md"
RATIOS, BARS = DOCS / "pictures" / "ratios.svg", DOCS / "pictures" / "peers.svg"
LOAD_QUIET = 0.7
"""A load a core up to this counts as a quiet machine; the benchmark itself is some of it."""
LIMITS: dict[str, str] = {
    "align": "each pixel of the face is read once; ours averages where theirs samples",
    "code-and-face": "ONNX time, most of it the detector's at 640 pixels",
    "cohort": "memory: the cohort's rows are read once",
    "cold-start": "imports, kernels from their folder, models from disk",
    "compare": "the interpreter's calls, not arithmetic",
    "detect": "ONNX time: theirs is the limit",
    "embed": "ONNX time: theirs is the limit",
    "encoding": "theirs encodes what is made already",
    "face-prepost": "memory: the pyramid reads every pixel once; theirs is the ONNX time beside it",
    "face-vs-insightface": "the interpreter's calls",
    "frame-to-text": "the JPEG's decode and one pass over half its lines",
    "gallery-128": "memory: every code is read once",
    "gallery-512": "memory: every code is read once",
    "http-code-only": "theirs is the limit of this server: parsing, sockets, the interpreter",
    "http-code-only-p99": "the disk's flush, which both wait for",
    "http-cpu": "theirs is the limit of this server: parsing, sockets, the interpreter",
    "image-decode": "libjpeg-turbo: theirs is the limit",
    "journal-commit": "the disk's flush",
    "lookup": "theirs is the limit: two gets, two AES-GCM openings",
    "masking": "theirs is slices without a policy",
    "metrics-cost": "a dictionary's entry and a few additions for each stage",
    "overload": "the face models; a face that is refused still costs its body",
    "presentation-check": "the crypto: theirs is the limit",
    "qr-photos": "codes that nobody can read",
    "rss": "the interpreter, its libraries, the models' weights",
}


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Under what something was measured: its size, the load of the machine's cores, the day."""

    small: bool
    load: float
    cores: int
    day: str

    def __str__(self) -> str:
        """Say it in a table."""
        busy = self.load > LOAD_QUIET * self.cores
        return f"{'small' if self.small else 'full'}{', busy' if busy else ''}"


class MeasuredResult(msgspec.Struct, frozen=True):
    """A measure's line and its run."""

    run: Run
    result: Result


class MeasuredRow(msgspec.Struct, frozen=True):
    """A peer's line and its run."""

    run: Run
    row: Row


class Measured(msgspec.Struct):
    """Everything that was measured last."""

    measures: dict[str, MeasuredResult] = {}
    peers: list[MeasuredRow] = []


def this_run(*, small: bool) -> Run:
    """Say under what this moment's run is."""
    return Run(small=small, load=round(os.getloadavg()[0], 1),
               cores=len(os.sched_getaffinity(0)),
               day=time.strftime("%Y-%m-%d", time.gmtime()))


def load_measured(path: Path = FILE) -> Measured:
    """Read the kept lines; nothing where there is no file yet."""
    return msgspec.json.decode(path.read_bytes(), type=Measured) if path.is_file() else Measured()


def merge(measured: Measured, results: Iterable[Result], rows: Sequence[Row], run: Run) -> None:
    """Take up the lines of a run in place of those of the same measures and questions."""
    for result in results:
        measured.measures[result.measure] = MeasuredResult(run, result)
    asked = {row.question for row in rows}
    measured.peers = [item for item in measured.peers if item.row.question not in asked]
    measured.peers += [MeasuredRow(run, row) for row in rows]


def keep(results: Iterable[Result], rows: Sequence[Row], *, small: bool) -> None:
    """Keep the lines of a run, and renew the document and its pictures."""
    measured = load_measured()
    merge(measured, results, rows, this_run(small=small))
    measured.measures = dict(sorted(measured.measures.items()))
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=1) + b"\n")
    RATIOS.parent.mkdir(exist_ok=True)
    for path, content in generated(measured, DOCUMENT.read_text("utf-8")).items():
        path.write_text(content, "utf-8")


def generated(measured: Measured, document: str) -> dict[Path, str]:
    """Give the document, its marked parts made anew, and the pictures."""
    rows = [item.row for item in measured.peers]
    document = between(document, "measures", "\n".join([
        _said(measured), "", f"![ours / theirs](pictures/{RATIOS.name})", "",
        *measures_table(measured)]))
    document = between(document, "peers", "\n".join([
        f"![peers side by side](pictures/{BARS.name})", "",
        *table_of(rows, [str(item.run) for item in measured.peers])]))
    results = [item.result for item in measured.measures.values()]
    return {DOCUMENT: document, RATIOS: draw(results), BARS: draw_peers(rows)}


def between(document: str, name: str, content: str) -> str:
    """Replace what stands between the two marks of a name.

    Raises:
        ValueError: The marks aren't there.
    """
    begin, end = f"<!-- {name}: made by bench -->", f"<!-- {name}: end -->"
    before, found, rest = document.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"the document has no marks {begin} … {end}")
    return f"{before}{begin}\n{content}\n{end}{after}"


def measures_table(measured: Measured) -> list[str]:
    """Give the table of measures."""
    lines = ["| measure | ours | theirs | ratio | wanted | against | what the limit is | run |",
             "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for name, item in measured.measures.items():
        result = item.result
        wanted = f"{TARGETS[name]:g}" if name in TARGETS else ""
        run = f"{item.run}{'' if result.valid else f'; not valid: {result.why}'}"
        lines.append(
            f"| `{name}` | {_figure(result.ours, result.unit)} "
            f"| {_figure(result.theirs, result.unit)} | {_figure(result.ratio)} | {wanted} "
            f"| {_cell(result.against)} | {LIMITS.get(name, '')}{_near(result)} | {run} |")
    return lines


def table_of(rows: Sequence[Row], runs: Sequence[str] = ()) -> list[str]:
    """Give the table of peers; with runs, what each was measured under."""
    head = "| question | who | figure | found | note |" + (" run |" if runs else "")
    lines = [head, "| --- " * (head.count("|") - 1) + "|"]
    for number, row in enumerate(rows):
        line = (f"| {row.question} | {row.peer} | {row.figure:,.3g} {row.unit} | {row.read} "
                f"| {_cell(row.note)} |")
        lines.append(line + (f" {runs[number]} |" if runs else ""))
    return lines


def _said(measured: Measured) -> str:
    runs = [item.run for item in measured.measures.values()]
    runs += [item.run for item in measured.peers]
    if not runs:
        return "Nothing was measured yet: `python -m bench --write-docs`."
    loads = sorted(run.load for run in runs)
    return (f"Measured {min(run.day for run in runs)} to {max(run.day for run in runs)} on "
            f"{max(run.cores for run in runs)} cores, load {loads[0]:g} to {loads[-1]:g}. "
            "`busy`: others used the machine; figures are then too high, ratios by CPU time hold. "
            "`small`: the size of the test command, not the one that counts.")


def _near(result: Result) -> str:
    """Say how near memory's limit a search is, where its run measured that."""
    settings = result.settings
    if result.ours is None or not settings.get("read_gb_per_s"):
        return ""
    least_ms = settings["code_bytes_a_search"] / settings["read_gb_per_s"] / 1e6
    return f": {least_ms:.2g} ms, ours is {result.ours / least_ms:.2g} times that"


def _figure(value: float | None, unit: str = "") -> str:
    if value is None:
        return ""
    return f"{value:,.3g} {unit}".strip() if abs(value) < 1000 else f"{value:,.0f} {unit}".strip()


def _cell(text: str) -> str:
    return text.replace("|", "/")
