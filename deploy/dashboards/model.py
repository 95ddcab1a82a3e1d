"""A dashboard in few words, and the JSON that Grafana reads of it.

- A board is rows of panels; places are computed, so that nobody counts grid units.
- Every query names its legend and its unit; `targets` lists all of them for the test that runs
  each against a real Prometheus.
- Not here: which panels there are.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

SCHEMA = 39
WIDTH = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
Unit = Literal["", "s", "ms", "bytes", "reqps", "short", "percentunit", "bool_yes_no", "d", "ops"]
Kind = Literal["timeseries", "stat", "table", "bargauge"]


class Target(msgspec.Struct, frozen=True):
    """One query and what its lines are called."""

    expr: str
    legend: str = ""


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """One picture.

    Attributes:
        title: As a question or a noun.
        targets: Queries.
        kind: How it is drawn.
        unit: Grafana's name of the unit.
        words: What to make of it.
        wide: Of 24 columns.
        warn, bad: From where it is yellow and red; `falling` turns that around.
    """

    title: str
    targets: tuple[Target, ...]
    kind: Kind = "timeseries"
    unit: Unit = "short"
    words: str = ""
    wide: int = 8
    warn: float | None = None
    bad: float | None = None
    falling: bool = False


class Row(msgspec.Struct, frozen=True):
    """A heading with the panels under it."""

    title: str
    panels: tuple[Panel, ...]


class Variable(msgspec.Struct, frozen=True):
    """A choice at the top: its name and the query of its values."""

    name: str
    query: str


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """One dashboard."""

    uid: str
    title: str
    words: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()

    def targets(self) -> Iterator[tuple[str, Target]]:
        """Give every query with the title of its panel."""
        for row in self.rows:
            for panel in row.panels:
                for target in panel.targets:
                    yield f"{self.uid}: {panel.title}", target


def render(board: Board) -> bytes:
    """Give the JSON of a board."""
    panels: list[dict[str, object]] = []
    top = 0
    for row in board.rows:
        panels.append({"type": "row", "title": row.title, "id": len(panels) + 1, "panels": [],
                       "collapsed": False, "gridPos": _place(0, top, WIDTH, 1)})
        top, left, tall = top + 1, 0, 0
        for panel in row.panels:
            high = 4 if panel.kind == "stat" else 8
            if left + panel.wide > WIDTH:
                top, left, tall = top + tall, 0, 0
            panels.append(_panel(panel, len(panels) + 1, _place(left, top, panel.wide, high)))
            left, tall = left + panel.wide, max(tall, high)
        top += tall
    return msgspec.json.format(msgspec.json.encode({
        "uid": board.uid, "title": board.title, "description": board.words, "tags": ["kanhe"],
        "schemaVersion": SCHEMA, "version": 1, "editable": False, "timezone": "browser",
        "refresh": "10s", "time": {"from": "now-1h", "to": "now"}, "panels": panels,
        "templating": {"list": [_datasource(), *map(_variable, board.variables)]},
        "links": [{"type": "dashboards", "tags": ["kanhe"], "title": "Kanhe", "asDropdown": True}],
    }), indent=1) + b"\n"


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, object]:
    steps: list[dict[str, object]] = [{"color": "red" if panel.falling else "green", "value": None}]
    for color, value in (("yellow", panel.warn), ("green" if panel.falling else "red", panel.bad)):
        if value is not None:
            steps.append({"color": color, "value": value})
    if panel.warn is None and panel.bad is None:
        steps = [{"color": "text", "value": None}]
    return {
        "id": number, "type": panel.kind, "title": panel.title, "description": panel.words,
        "gridPos": place, "datasource": DATASOURCE,
        "fieldConfig": {"defaults": {
            "unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps},
            "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        }, "overrides": []},
        "options": _options(panel.kind),
        "targets": [
            {"refId": chr(ord("A") + index), "expr": target.expr, "legendFormat": target.legend,
             "datasource": DATASOURCE, "editorMode": "code", "range": panel.kind == "timeseries",
             "instant": panel.kind != "timeseries", "exemplar": panel.kind == "timeseries",
             "format": "table" if panel.kind == "table" else "time_series"}
            for index, target in enumerate(panel.targets)
        ],
    }


def _options(kind: Kind) -> dict[str, object]:
    if kind == "timeseries":
        return {"legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull"]},
                "tooltip": {"mode": "multi", "sort": "desc"}}
    if kind in ("stat", "bargauge"):
        return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                "colorMode": "background", "textMode": "auto"}
    return {"showHeader": True}


def _place(left: int, top: int, wide: int, high: int) -> dict[str, int]:
    return {"x": left, "y": top, "w": wide, "h": high}


def _datasource() -> dict[str, object]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus",
            "label": "Prometheus"}


def _variable(variable: Variable) -> dict[str, object]:
    return {"name": variable.name, "type": "query", "datasource": DATASOURCE,
            "query": {"query": variable.query, "refId": variable.name}, "refresh": 2, "multi": True,
            "includeAll": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"}}
