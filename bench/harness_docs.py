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
OTHERS_QUIET = 0.1
"""A machine is quiet whose others use up to this share of its cores."""
BY_CLOCK = (
    "bootstrap", "cold-start", "http-code-only", "http-code-only-p99", "journal-commit", "overload",
    "restart", "revocation",
)
"""What waits for other processes or a disk: of a busy machine such figures say nothing."""
LIMITS: dict[str, str] = {
    "align": "each pixel of the face is read once; ours averages where theirs samples",
    "bootstrap": "the disk, and opening and sealing each record",
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
    "restart": "taking in references for comparison, and what a cold start takes",
    "revocation": "one signature, and 500 answers on the cores of one machine",
    "rss": "the interpreter, its libraries, the models' weights",
    "threads": "ONNX time: theirs is the same with threads that spin",
    "workers-cpu": "the frames between the processes; theirs has none",
}


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Under what something was measured.

    Attributes:
        small: Whether at the size of the test command.
        others: Share of the machine's cores that other programs used meanwhile.
        cores: How many it has.
        day: When, UTC.
    """

    small: bool
    others: float
    cores: int
    day: str

    @property
    def busy(self) -> bool:
        """Tell whether others used the machine."""
        return self.others > OTHERS_QUIET

    def __str__(self) -> str:
        """Say it in a table."""
        return f"{'small' if self.small else 'full'}{', busy' if self.busy else ''}"


class MeasuredResult(msgspec.Struct, frozen=True):
    """A measure's line and its run."""

    run: Run
    result: Result

    @property
    def telling(self) -> bool:
        """Tell whether its figures say something."""
        return self.result.valid and not (self.run.busy and self.result.measure in BY_CLOCK)


class MeasuredRow(msgspec.Struct, frozen=True):
    """A peer's line and its run."""

    run: Run
    row: Row

    @property
    def telling(self) -> bool:
        """Tell whether its figure says something: a rate by the clock needs a quiet machine."""
        return not (self.run.busy and self.row.unit == "1/s")


class Measured(msgspec.Struct):
    """Everything that was measured last."""

    measures: dict[str, MeasuredResult] = {}
    peers: list[MeasuredRow] = []


class Watch:
    """Watches what others use of the machine, from its making on."""

    def __init__(self) -> None:
        """Begin."""
        self._at_s, self._busy_s, self._own_s = time.monotonic(), _busy_s(), _own_s()

    def run(self, *, small: bool) -> Run:
        """Say under what was measured since then."""
        cores = os.cpu_count() or 1
        theirs = (_busy_s() - self._busy_s) - (_own_s() - self._own_s)
        share = theirs / cores / max(0.001, time.monotonic() - self._at_s)
        return Run(small=small, others=round(min(1.0, max(0.0, share)), 2), cores=cores,
                   day=time.strftime("%Y-%m-%d", time.gmtime()))


def _busy_s() -> float:
    """Give the seconds that all cores were busy so far (proc(5), /proc/stat)."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    user, nice, system, _, _, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _own_s() -> float:
    """Give the CPU seconds of this process and of its children that have ended."""
    return sum(os.times()[:4])


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


def keep(results: Iterable[Result], rows: Sequence[Row], run: Run) -> None:
    """Keep the lines of a run, and renew the document and its pictures."""
    measured = load_measured()
    merge(measured, results, rows, run)
    measured.measures = dict(sorted(measured.measures.items()))
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=1) + b"\n")
    RATIOS.parent.mkdir(exist_ok=True)
    for path, content in generated(measured, DOCUMENT.read_text("utf-8")).items():
        path.write_text(content, "utf-8")


def generated(measured: Measured, document: str) -> dict[Path, str]:
    """Give the document, its marked parts made anew, and the pictures."""
    peers = [item for item in measured.peers if item.telling]
    rows = [item.row for item in peers]
    document = between(document, "measures", "\n".join([
        _said(measured), "", f"![ours / theirs](pictures/{RATIOS.name})", "",
        *measures_table(measured)]))
    document = between(document, "peers", "\n".join([
        f"![peers side by side](pictures/{BARS.name})", "",
        *table_of(rows, [str(item.run) for item in peers])]))
    results = [item.result for item in measured.measures.values() if item.telling]
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
        if not item.telling:
            lines.append(f"| `{name}` | | | | {wanted} | {_cell(result.against)} "
                         f"| {LIMITS.get(name, '')} | {run}: says nothing |")
            continue
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
        line = (f"| {row.question} | {row.peer} | {_figure(row.figure, row.unit)} | {row.read} "
                f"| {_cell(row.note)} |")
        lines.append(line + (f" {runs[number]} |" if runs else ""))
    return lines


def _said(measured: Measured) -> str:
    runs = [item.run for item in measured.measures.values()]
    runs += [item.run for item in measured.peers]
    if not runs:
        return "Nothing was measured yet: `python -m bench --write-docs`."
    shares, days = sorted({run.others for run in runs}), sorted({run.day for run in runs})
    return (f"Measured on {' and '.join(dict.fromkeys((days[0], days[-1])))}, on "
            f"{max(run.cores for run in runs)} cores, of which other programs used "
            f"{' to '.join(f'{share:.0%}' for share in dict.fromkeys((shares[0], shares[-1])))}. "
            f"`busy`: that is over {OTHERS_QUIET:.0%}; figures are then too high, ratios by CPU "
            "time hold, and what goes by the clock isn't shown. `small`: the size of the test "
            "command, not the one that counts.")


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
