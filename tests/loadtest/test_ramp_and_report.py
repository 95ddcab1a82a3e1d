"""The ramp's search, and what the report shows."""

import re
import xml.etree.ElementTree as ET

import pytest

from loadtest.ramp import GAP, STEPS_MAX, find_capacity
from loadtest.report import report_html
from loadtest.svg import Axis, Line, bar_chart, line_chart
from loadtest.tally import Tally


def node_of(capacity: float):
    """Give a measure of a node that answers up to a rate and is late beyond it."""
    asked = []

    async def measure(rate: float) -> Tally:
        asked.append(rate)
        tally = Tally(rate, 1.0, 1.0)
        count = max(1, int(rate))
        for index in range(count):
            at = index / count
            late = 0.01 if index < capacity else 3.0
            tally.begun(at, 0.0001)
            tally.ended("code", "accept/ok", at, at + late, good=True, ok=True)
        return tally

    return measure, asked


@pytest.mark.parametrize("capacity", [30, 137, 900, 2_500])
async def test_the_capacity_is_found_within_the_gap(capacity):
    measure, asked = node_of(capacity)
    found = await find_capacity(measure, 100.0, 10_000.0)
    assert found.rate <= capacity * 1.02
    assert found.rate >= capacity * (1 - GAP) * 0.97
    assert found.failed_at > found.rate
    assert len(asked) <= STEPS_MAX


async def test_a_ramp_stops_at_what_the_wallets_bear_and_says_at_least():
    measure, asked = node_of(1_000_000)
    found = await find_capacity(measure, 100.0, 700.0)
    assert (found.rate, found.failed_at) == (700.0, 0.0)
    assert max(asked) == 700.0


async def test_a_dead_node_has_no_capacity_and_the_ramp_ends():
    measure, asked = node_of(0)
    found = await find_capacity(measure, 100.0, 700.0)
    assert found.rate == 0.0
    assert len(asked) == STEPS_MAX


async def test_a_late_generator_is_not_believed():
    tally = Tally(10.0, 1.0, 1.0)
    for index in range(10):
        tally.begun(index / 10, 0.2)
        tally.ended("code", "accept/ok", index / 10, index / 10 + 0.3, good=True, ok=True)
    summary = tally.summary()
    assert not summary.valid
    assert "generator" in summary.why


async def test_the_report_stands_alone_escapes_and_has_its_pictures():
    measure, _ = node_of(300)
    capacity = await find_capacity(measure, 100.0, 5_000.0)
    tally = capacity.runs[0]
    tally.ended("code", "<script>alert(1)</script>", 0.5, 0.6, good=False, ok=True)
    page = report_html([("target", "http://127.0.0.1:1 <b>")], tally, capacity)
    assert "<script" not in page
    assert "<b>http" not in page
    assert not re.search(r'(?:src|href)=["\']?http', page)
    pictures = re.findall(r"<svg.*?</svg>", page)
    assert len(pictures) == 5
    for picture in pictures:
        ET.fromstring(picture)
    assert f"{capacity.rate:,.0f}/s" in page


def test_an_empty_run_makes_a_report_all_the_same():
    page = report_html([], Tally(1.0, 1.0, 1.0), None)
    assert "nothing to draw" in page


def test_a_line_is_broken_where_there_is_nothing():
    axes = Axis(label="s"), Axis(label="ms", log=True)
    drawn = line_chart("t", [Line("a", [(0, 1.0), (1, None), (2, 3.0)])], *axes)
    assert drawn.count("<polyline") == 2
    assert "nothing" in line_chart("t", [Line("a", [(0, None)])], *axes)
    assert "nothing" in bar_chart("t", [], "")


@pytest.mark.parametrize("highest,numbers", [
    (768.0, {"0", "200", "400", "600"}), (3.5, {"0", "1", "2", "3"}), (0.0, {"0"})])
async def test_axes_are_marked_with_numbers_that_people_count_by(highest, numbers):
    line = Line("one", [(0.0, 0.0), (highest, highest)])
    picture = line_chart("", [line], Axis(label="s"), Axis(label="1/s"))
    assert numbers <= set(re.findall(r">([\d,.]+)</text>", picture))
