"""The report: one HTML file that stands alone, with pictures and every figure in a table."""

from collections.abc import Sequence
from html import escape

from loadtest.ramp import Capacity, holds
from loadtest.svg import Axis, Line, bar_chart, line_chart
from loadtest.tally import Summary, Tally

_CURVE = (0.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99)
_CURVE_TICKS = ((1.0, "0 %"), (2.0, "50 %"), (10.0, "90 %"), (100.0, "99 %"),
                (1_000.0, "99.9 %"), (10_000.0, "99.99 %"))
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:760px;margin:2rem auto;padding:0 1rem;
color:#0f172a;background:#fff}h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #e2e8f0;padding:.3rem .5rem;
text-align:right}td:first-child,th:first-child{text-align:left}svg{width:100%;height:auto}
.bad{color:#b91c1c;font-weight:600}p{margin:.4rem 0}
"""


def report_html(
    settings: Sequence[tuple[str, str]], tally: Tally, capacity: Capacity | None
) -> str:
    """Draw the report of a run, or of a ramp with the run of its last step that held.

    Args:
        settings: Names and values to show on top; nothing secret.
        tally: The run.
        capacity: What a ramp found, if there was one.
    """
    summary = tally.summary()
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width'>"
        f"<title>Load test</title><style>{_STYLE}</style><h1>Load test</h1>",
        _table(("Setting", "value"), settings),
    ]
    if capacity is not None:
        parts += _capacity(capacity)
    parts += _figures(summary)
    parts += _pictures(tally)
    parts.append("</html>")
    return "\n".join(parts)


def _capacity(capacity: Capacity) -> list[str]:
    steps = sorted(capacity.runs, key=lambda run: run.rate)
    until = (f"it failed at {capacity.failed_at:,.0f}/s" if capacity.failed_at
             else "no step failed; more needs more wallets or steps")
    return [
        "<h2>Capacity</h2>",
        f"<p><b>{capacity.rate:,.0f}/s</b> held: 99 % good and p99 within the deadline; {until}."
        "</p>",
        line_chart("Goodput at each rate", [
            Line("good", [(run.rate, run.goodput) for run in steps]),
            Line("asked", [(run.rate, run.rate) for run in steps]),
        ], Axis(label="asked, 1/s"), Axis(label="1/s")),
        _table(("Asked, 1/s", "good, 1/s", "p99, ms", "held"), [
            (f"{run.rate:,.1f}", f"{run.goodput:,.1f}", f"{run.percentile_ms(99.0):,.1f}",
             "yes" if holds(run) else "no") for run in capacity.runs]),
    ]


def _figures(summary: Summary) -> list[str]:
    parts = ["<h2>Figures</h2>"]
    if not summary.valid:
        parts.append(f"<p class=bad>Not valid: {escape(summary.why)}.</p>")
    parts.append(_table(("What", "figure"), (
        ("asked, 1/s", f"{summary.rate:,.1f}"), ("good, 1/s", f"{summary.goodput:,.1f}"),
        ("requests due", f"{summary.due:,}"), ("answered 200", f"{summary.answered:,}"),
        ("as expected, in time", f"{summary.good:,}"),
        ("answered 200 after the deadline", f"{summary.late:,}"),
        ("generator late, p99 ms", f"{summary.lag_p99_ms:,.3f}"),
    )))
    parts.append("<h2>Latency, ms, from the moment a request was due</h2>")
    names = list(summary.latency_ms)
    rows = [("all", *(f"{summary.latency_ms[name]:,.2f}" for name in names))]
    rows += [(kind, *(f"{values[name]:,.2f}" for name in names))
             for kind, values in summary.by_kind_ms.items()]
    parts.append(_table(("Asked for", *names), rows))
    parts.append("<h2>Outcomes</h2>")
    parts.append(_table(("Asked for", "outcome", "count"), [
        (kind, outcome, f"{count:,}")
        for kind, outcomes in summary.outcomes.items() for outcome, count in outcomes.items()]))
    return parts


def _pictures(tally: Tally) -> list[str]:
    width = tally.width_s
    times = [(index + 0.5) * width for index in range(len(tally.intervals))]
    lengths = [min(width, tally.duration_s - index * width) for index in range(len(times))]
    over_time = [
        Line(f"p{p:g}" if p < 100.0 else "max", [
            (at, item.latency.get_value_at_percentile(p) / 1e3
             if item.latency.get_total_count() else None)
            for at, item in zip(times, tally.intervals, strict=True)])
        for p in (50.0, 99.0, 100.0)
    ]
    rates = [
        Line(name, [(at, getattr(item, field) / length) for at, item, length in zip(
            times, tally.intervals, lengths, strict=True)])
        for name, field in (("due", "due"), ("answered", "answered"), ("good", "good"))
    ]
    curves = [
        Line(kind or "all", [
            (1.0 / (1.0 - p / 100.0), tally.percentile_ms(p, kind)) for p in _CURVE])
        for kind in ("", *sorted(tally.by_kind))
    ]
    outcomes: dict[str, int] = {}
    for (_, outcome), count in tally.outcomes.items():
        outcomes[outcome] = outcomes.get(outcome, 0) + count
    return [
        "<h2>Latency over time</h2>",
        line_chart("Latency over time", over_time, Axis(label="seconds"),
                   Axis(label="ms", log=True)),
        "<h2>Rates: due and answered</h2>",
        line_chart("Requests due, answered and good", rates, Axis(label="seconds"),
                   Axis(label="1/s")),
        "<h2>Percentiles</h2>",
        line_chart("Latency by percentile", curves,
                   Axis(label="percentile", log=True, ticks=_CURVE_TICKS),
                   Axis(label="ms", log=True)),
        "<h2>Answers by decision and reason</h2>",
        bar_chart("Answers by decision and reason", sorted(
            ((name, float(count)) for name, count in outcomes.items()),
            key=lambda row: -row[1]), ""),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(value)}</td>" for value in row) + "</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{body}</table>"
