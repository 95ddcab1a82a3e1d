"""Signals of misuse: what raises one, what doesn't, and that memory is bounded."""

import asyncio
import time

import pytest

from edge.errors import JournalError
from edge.metrics import NodeMetrics
from edge.protocol.signals import SIGNALS
from edge.signals import RULES, Watch
from edge.watching import NOTES_A_MINUTE_MAX, Watching
from tests.fakes.records import answer
from tests.pipeline.desk import STEP, Desk

NOW_MS = 1_800_000_000_000
STEP_NOW = NOW_MS // 5_000
SPAN_S = {rule.signal: (reason.value, rule) for reason, rule in RULES.items()}


def shown(reason: str, at_s: float = 0.0, **differently):
    step = differently.pop("step", STEP_NOW - 12)
    return answer(reason, at_ms=NOW_MS + int(at_s * 1000), step=step, **differently)


@pytest.mark.parametrize("name", SIGNALS)
def test_as_many_as_the_rule_says_are_a_signal_and_one_fewer_is_not(name):
    reason, rule = SPAN_S[name]
    watch = Watch()
    found = [watch.saw(shown(reason, at_s)) for at_s in range(rule.answers)]
    assert found[:-1] == [None] * (rule.answers - 1)
    assert (found[-1].name, found[-1].count) == (name, rule.answers)
    assert watch.saw(shown(reason, rule.answers)) is None  # quiet about this one for a while


@pytest.mark.parametrize("name", [name for name in SIGNALS if SPAN_S[name][1].answers > 1])
def test_the_same_spread_over_a_longer_time_is_none(name):
    reason, rule = SPAN_S[name]
    watch = Watch()
    gap = rule.window_s / (rule.answers - 1) + 1.0
    assert [watch.saw(shown(reason, n * gap)) for n in range(rule.answers * 3)] == (
        [None] * rule.answers * 3)


def test_accepts_and_other_gates_and_credentials_raise_nothing():
    watch = Watch()
    for number in range(50):
        assert watch.saw(shown("ok", number)) is None
        assert watch.saw(shown("mac_mismatch", number, gate_id=f"g{number}",
                               credential_id=None)) is None
        assert watch.saw(shown("no_match", number, credential_id=bytes([number] * 16))) is None


def test_a_slow_person_is_not_a_screenshot():
    watch = Watch()
    slow = [watch.saw(shown("step_expired", n, step=STEP_NOW - 3)) for n in range(9)]
    assert slow == [None] * 9


def test_a_flood_of_new_credentials_forgets_the_oldest():
    watch = Watch(watched_max=100)
    for number in range(5_000):
        watch.saw(shown("no_match", credential_id=number.to_bytes(16, "big")))
    assert len(watch) == 100


async def test_signals_are_counted_and_journalled_within_a_bound_a_minute():
    noted = []

    async def note(event, detail):
        noted.append((event, detail))

    metrics = NodeMetrics("1")
    watching = Watching(note, metrics.signal)
    for number in range(300):
        watching.saw(shown("attack_detected", number / 100, gate_id=f"g{number}"), {})
        await asyncio.sleep(0)
    await watching.settle()
    assert b'kanhe_signals_total{signal="face_attack"} 300.0' in metrics.page()[0]
    assert len(noted) == NOTES_A_MINUTE_MAX
    assert noted[0][0] == "signal.face_attack"
    assert set(noted[0][1]) == {
        "gate_id", "scene", "verification_id", "credential_id", "count", "window_s"}


async def test_a_journal_that_fails_loses_the_event_but_not_the_count():
    async def note(_, __):
        raise JournalError("disk full")

    metrics = NodeMetrics("1")
    watching = Watching(note, metrics.signal)
    watching.saw(shown("attack_detected"), {})
    await watching.settle()
    assert b'kanhe_signals_total{signal="face_attack"} 1.0' in metrics.page()[0]


async def test_how_late_an_expired_code_was_is_recorded_and_measured(tmp_path):
    desk, metrics = Desk(tmp_path), NodeMetrics("1")
    try:
        await desk.verifier.verify(desk.call(code=desk.code(STEP - 12)))
        await desk.verifier.verify(desk.call(code="KH1:" + desk.code(STEP - 12)[4:-3] + "000"))
    finally:
        desk.close()
    late, forged = desk.seen.records
    assert (late.reason, late.step, late.credential_id) == (
        "step_expired", STEP - 12, bytes([1] * 16))
    assert late.credential_type == ""
    assert (forged.reason, forged.step, forged.credential_id) == ("mac_mismatch", None, None)
    metrics.observed(late, {})
    assert b'kanhe_code_late_seconds_bucket{le="60.0"} 1.0' in metrics.page()[0]
    assert b'kanhe_code_late_seconds_bucket{le="30.0"} 0.0' in metrics.page()[0]


def test_watching_an_accept_takes_no_time_worth_speaking_of():
    watch, record = Watch(), answer()
    start = time.thread_time()
    for _ in range(20_000):
        watch.saw(record)
    assert (time.thread_time() - start) / 20_000 < 5e-6
