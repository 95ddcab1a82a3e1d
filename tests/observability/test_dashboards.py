"""Dashboards: generated from code, and every query returns data of a real node."""

import contextlib
import json
import re

import pytest

from deploy.dashboards.__main__ import BOARDS, generated
from tests.fakes.waiting import until
from tests.observability.conftest import DEPLOY, SEEN_S_MAX

pytestmark = pytest.mark.asyncio(loop_scope="session")
VARIABLES = {"$__rate_interval": "10s", "$site": ".*", "$instance": ".*"}


def substituted(expr: str) -> str:
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    assert "$" not in expr, expr
    return expr


@pytest.mark.parametrize("path", sorted(generated()), ids=lambda path: path.name)
async def test_the_committed_file_is_what_the_code_makes(path):
    assert path.read_bytes() == generated()[path], "python -m deploy.dashboards"


async def test_no_other_dashboard_lies_around():
    assert set((DEPLOY / "grafana" / "dashboards").iterdir()) == set(generated())


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
async def test_panels_have_places_of_their_own_and_ids(board):
    panels = json.loads(generated()[DEPLOY / "grafana" / "dashboards" / f"{board.uid}.json"])[
        "panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
async def test_every_query_returns_data_of_a_real_node(busy, board):
    empty = []

    async def all_do() -> bool:
        empty[:] = await empty_of(busy, board)
        if empty:
            # On a slow machine the last traffic may be over for longer than a rate looks back.
            await busy.traffic(1.0)
        return not empty

    with contextlib.suppress(TimeoutError):
        await until(all_do, SEEN_S_MAX)
    assert not empty, "\n".join(empty)


async def empty_of(busy, board) -> list[str]:
    """Name the queries of a dashboard that return nothing, or lack a label."""
    empty = []
    for title, target in board.targets():
        found = await busy.query(substituted(target.expr))
        values = [sample["value"][1] for sample in found]
        if not values or all(value == "NaN" for value in values):
            empty.append(f"{title}: {target.expr}")
        for name in re.findall(r"{{(\w+)}}", target.legend):
            if found and name not in found[0]["metric"]:
                empty.append(f"{title}: no label {name}")
    return empty


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
async def test_every_choice_at_the_top_has_values(busy, board):
    for variable in board.variables:
        metric, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable.query).groups()
        found = await busy.query(substituted(metric))
        assert {sample["metric"][label] for sample in found}


async def test_exemplars_lead_to_answers_that_were_given(busy):
    found = await busy.ask(
        "query_exemplars", query="kanhe_verification_seconds_bucket", start="0", end="2000000000")
    ids = {exemplar["labels"]["verification_id"] for series in found
           for exemplar in series["exemplars"]}
    assert ids
    assert ids <= {answer["verification_id"] for answer in busy.answers}


async def test_the_metrics_agree_with_the_answers(busy):
    await busy.traffic(0.1)
    want = {}
    for answer in busy.answers:
        key = (answer["decision"], answer["reason"])
        want[key] = want.get(key, 0) + 1
    await busy.scraped()
    assert await busy.counted() == want


async def test_replays_and_late_codes_of_the_traffic_became_signals_at_node_and_centre(busy):
    for metric in ("kanhe_signals_total", "kanhe_central_signals_total"):
        async def seen(metric=metric) -> bool:
            # At the centre only once the node's journal has come there.
            found = await busy.query(f"{metric} > 0")
            return {"replay", "late_code", "forged_codes"} <= {
                sample["metric"]["signal"] for sample in found}

        await until(seen, SEEN_S_MAX)
    taken = await busy.city.admin("GET", "/v1/journal?limit=1000")
    assert "signal.replay" in {record.get("event") for record in taken["records"]}
