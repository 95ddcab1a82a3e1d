"""What the node counts, how it is shown, and that outsiders can't make it grow."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_modern
from prometheus_client.parser import text_string_to_metric_families as parse

from bench import metrics_cost
from edge.metrics import OPENMETRICS, PAGE_KEPT_S, NodeMetrics, Reading, reading
from edge.tally import BOUNDS_S, GATES_MAX, SCENES_MAX, STAGES_MAX, quantile
from edge.trend import Trend
from tests.fakes.records import answer

ROOT = Path(__file__).resolve().parents[2]
SHARE_MAX = 0.045
"""3 % is wanted of a verification over HTTP. This one has no sockets, which are some half of the
whole, and the margin is for a noisy machine."""


def samples(metrics: NodeMetrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    body, _ = metrics.page()
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in parse(body.decode()) for sample in family.samples}


def value(metrics: NodeMetrics, name: str, **labels: str) -> float:
    return samples(metrics)[name, tuple(sorted(labels.items()))]


def test_answers_are_counted_by_scene_decision_reason_and_their_times_by_stage():
    metrics = NodeMetrics("1")
    for ms in (0.2, 0.3, 30.0):
        metrics.observed(answer(), {"authenticate": ms, "journal": 2.0})
    metrics.observed(answer("no_match"), {})
    assert value(metrics, "kanhe_verifications_total", scene="hotel.checkin", decision="accept",
                 reason="ok") == 3
    assert value(metrics, "kanhe_verifications_total", scene="hotel.checkin", decision="reject",
                 reason="no_match") == 1
    stage = {"scene": "hotel.checkin", "stage": "authenticate"}
    assert value(metrics, "kanhe_stage_seconds_count", **stage) == 3
    assert value(metrics, "kanhe_stage_seconds_sum", **stage) == pytest.approx(.0305)
    assert value(metrics, "kanhe_stage_seconds_bucket", **stage, le="0.00025") == 1
    assert value(metrics, "kanhe_verification_seconds_bucket", scene="hotel.checkin",
                 decision="accept", le="0.005") == 2
    assert value(metrics, "kanhe_verification_seconds_count", scene="hotel.checkin",
                 decision="accept") == 3


def test_answers_of_one_turn_are_counted_in_the_stages_of_their_own_scenes():
    metrics = NodeMetrics("1")
    metrics.observed_all(
        (answer(), answer(scene="office.gatehouse"), answer()), {"cache": 2.0, "journal": 1.0})
    counts = {scene: value(metrics, "kanhe_stage_seconds_count", scene=scene, stage="journal")
              for scene in ("hotel.checkin", "office.gatehouse")}
    assert counts == {"hotel.checkin": 2, "office.gatehouse": 1}
    assert metrics.tally.stage_sums()["cache"] == (3, pytest.approx(0.006))


def test_a_gate_that_was_only_refused_is_counted_and_has_had_no_answer():
    metrics = NodeMetrics("1")
    for _ in range(3):
        metrics.refused("g7")
    metrics.observed(answer(), {})
    found = samples(metrics)
    assert found["kanhe_gate_refused_total", (("gate", "g7"),)] == 3
    assert ("kanhe_gate_seen_timestamp_seconds", (("gate", "g7"),)) not in found
    assert ("kanhe_gate_refused_total", (("gate", "g1"),)) not in found


def test_calls_that_are_turned_away_have_a_line_on_the_status_page():
    metrics = NodeMetrics("1")
    trend = Trend(metrics.tally, dict)
    for status in (429, 429, 503, 401):
        metrics.problem(status)
    trend.sample(5.0)
    trend.sample(5.0)
    assert trend.view().series["turned_away"] == [0.6, 0.0]
    page = (ROOT / "edge" / "web" / "templates" / "status.html").read_text()
    assert 'spark("turned_away"' in page


def test_what_is_counted_between_two_looks_is_added_once():
    metrics = NodeMetrics("1")
    for count in (1, 2, 3):
        metrics.observed(answer(), {"cache": 0.1})
        metrics.fold()
        metrics.fold()
        time.sleep(PAGE_KEPT_S)
        assert value(metrics, "kanhe_stage_seconds_count", scene="hotel.checkin",
                     stage="cache") == count
        assert value(metrics, "kanhe_gate_verifications_total", gate="g1") == count


def test_the_slowest_answer_is_an_exemplar_that_leads_to_its_log_line_and_trace():
    metrics = NodeMetrics("1")
    slow = answer(verification_id="ab" * 16)
    for record, ms in ((answer(), 1.0), (slow, 700.0), (answer(), 2.0)):
        metrics.observed(record, {"journal": ms})
    body, kind = metrics.page(f"{OPENMETRICS};version=1.0.0,text/plain;q=0.5")
    assert kind.startswith(OPENMETRICS)
    found = [sample.exemplar.labels for family in parse_modern(body.decode())
             for sample in family.samples if sample.exemplar]
    assert found == [{"verification_id": "ab" * 16}]
    plain, kind = metrics.page("text/plain")
    assert kind.startswith("text/plain")
    assert b"ab" * 16 not in plain


def test_names_from_outside_become_other_and_their_number_is_bounded():
    metrics = NodeMetrics("1", lambda: {"hotel.checkin"})
    metrics.observed(answer(), {})
    metrics.observed(answer(scene="made.up"), {})
    metrics.observed(answer("strange", decision="odd"), {})
    names = {labels for name, labels in samples(metrics) if name == "kanhe_verifications_total"}
    assert {dict(labels)["scene"] for labels in names} == {"hotel.checkin", "other"}
    assert {dict(labels)["reason"] for labels in names} == {"ok", "other"}
    assert {dict(labels)["decision"] for labels in names} == {"accept", "other"}


def test_thousands_of_gates_scenes_stages_and_statuses_stay_within_bounds():
    metrics = NodeMetrics("1")
    for number in range(3_000):
        metrics.observed(
            answer(scene=f"scene.{number}", gate_id=f"gate{number}", at_ms=number),
            {f"stage{number}": 1.0})
        metrics.problem(number)
    tally = metrics.tally
    assert len({scene for scene, _, _ in tally.answers}) == SCENES_MAX + 1
    assert len(tally.stages) == SCENES_MAX + 1
    assert len(tally.stages["other"]) == STAGES_MAX + 1
    assert len(tally.gates) == GATES_MAX + 1
    assert sum(series.count for series in tally.answers.values()) == 3_000
    statuses = [labels for name, labels in samples(metrics)
                if name == "kanhe_http_problems_total"]
    assert len(statuses) == 201  # 400 to 599, and other
    assert len(metrics.page()[0]) < 1_000_000


def test_label_values_with_signs_survive_the_page():
    metrics = NodeMetrics("1")
    odd = '前台 "A"\\\n{x="y"}'
    metrics.gauges([Reading("kanhe_gate_info", "h", ("label",), lambda: [((odd,), 1.0)])])
    assert value(metrics, "kanhe_gate_info", label=odd) == 1


def test_an_unknown_gauge_value_is_left_out():
    metrics = NodeMetrics("1")
    metrics.gauges([reading("kanhe_keys_age_seconds", "h", lambda: None)])
    assert not [name for name, _ in samples(metrics) if name == "kanhe_keys_age_seconds"]


def test_a_scraper_in_a_hurry_gets_the_same_page_for_a_moment():
    metrics, reads = NodeMetrics("1"), []
    metrics.gauges([reading("kanhe_reads", "h", lambda: reads.append(1) or len(reads))])
    began = time.monotonic()
    for _ in range(80):
        metrics.page()
        time.sleep(0.01)
    assert 1 <= len(reads) <= 1 + (time.monotonic() - began) / PAGE_KEPT_S


def test_a_scrape_every_100_ms_costs_little_of_a_core():
    metrics = NodeMetrics("1")
    for scene in range(6):
        for reason in ("ok", "no_match", "step_expired", "mac_mismatch"):
            for gate in range(40):
                metrics.observed(
                    answer(reason, scene=f"s{scene}", gate_id=f"g{gate}"), {"journal": 1.0})
    start = time.process_time()
    for _ in range(20):
        metrics.page()
        time.sleep(0.1)
    assert time.process_time() - start < 0.1 * 2.0  # a tenth of a core over two seconds


def test_processes_of_one_node_show_their_counts_together(tmp_path):
    script = textwrap.dedent("""
        import sys
        from edge.metrics import NodeMetrics
        from tests.fakes.records import answer
        metrics = NodeMetrics("1")
        for _ in range(int(sys.argv[1])):
            metrics.observed(answer(), {"journal": 3.0})
        body, _ = metrics.page()
        print(body.decode())
    """)
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    page = ""
    for count in ("4", "7"):
        page = subprocess.run([sys.executable, "-c", script, count], env=environment, text=True,
                              capture_output=True, check=True, timeout=60).stdout
    found = {sample.name: sample.value for family in parse(page) for sample in family.samples
             if sample.labels.get("le") in (None, "+Inf")}
    assert found["kanhe_verifications_total"] == 11
    assert found["kanhe_stage_seconds_bucket"] == 11
    assert found["kanhe_stage_seconds_sum"] == pytest.approx(0.033)


def test_a_quantile_of_buckets_is_where_prometheus_puts_it():
    counts = [0] * (len(BOUNDS_S) + 1)
    assert quantile(counts, BOUNDS_S, 0.5) is None
    counts[3] = 10
    assert quantile(counts, BOUNDS_S, 0.5) == pytest.approx((0.0005 + 0.001) / 2)
    counts[-1] = 1_000
    assert quantile(counts, BOUNDS_S, 0.99) == BOUNDS_S[-1]


def test_counting_costs_less_than_its_share_of_a_code_only_verification():
    found = metrics_cost.run(small=True)
    if found.ratio > SHARE_MAX:
        found = metrics_cost.run(small=True)
    assert found.ratio < SHARE_MAX, found
