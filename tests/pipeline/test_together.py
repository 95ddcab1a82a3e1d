"""Codes of one turn are judged together: each has its own answer, and its own trouble."""

import asyncio
import threading
import time

import msgspec
import pytest

from edge.errors import JournalError, StoreError
from edge.pipeline import together
from edge.pipeline.answer import Outcome
from edge.pipeline.calls import DeadlineMissed, VerificationCall
from edge.protocol.records import Status
from tests.fakes.ports import BrokenJournal
from tests.pipeline.desk import GATE, STEP, Desk


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    desk.close()


class Calls:
    """Asks several in one turn and waits for all."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.found = desk, {}

    def ask(self, name, text, *, request_id=None, deadline_s=30.0, scene="code") -> bool:
        call = VerificationCall(
            gate=GATE, scene=scene, request_id=request_id or name, presentation=text,
            code_image=None, face_images=(), challenge_id=None,
            deadline_s=time.monotonic() + deadline_s)
        return self.desk.verifier.take(call, lambda found: self.found.setdefault(name, found))

    async def all(self, count: int) -> dict[str, object]:
        async with asyncio.timeout(10):
            while len(self.found) < count:
                await asyncio.sleep(0.005)
        return {name: found.answer.reason if isinstance(found, Outcome) else type(found)
                for name, found in self.found.items()}


async def test_each_of_a_turn_gets_its_own_verdict(desk):
    calls, code = Calls(desk), desk.code()
    for name, text in (("good", code), ("again", code), ("nonsense", "KH1:!"), ("none", "")):
        assert calls.ask(name, text)
    assert await calls.all(4) == {
        "good": "ok", "again": "presentation_replayed", "nonsense": "malformed",
        "none": "malformed"}
    assert len({found.answer.receipt.index for found in calls.found.values()}) == 4
    assert [record.reason for record in desk.seen.records] == [
        "ok", "presentation_replayed", "malformed", "malformed"]


async def test_more_than_a_turn_holds_are_all_answered(desk):
    calls, count = Calls(desk), 3 * together.TURN_MAX + 1
    for number in range(count):
        assert calls.ask(f"q{number}", "KH1:!")
    assert set((await calls.all(count)).values()) == {"malformed"}


async def test_a_turn_gives_what_one_call_gives(desk):
    calls = Calls(desk)
    calls.ask("together", desk.code())
    await calls.all(1)
    alone = (await desk.verifier.verify(desk.call(code=desk.code(step=STEP + 1)))).answer
    own = {"verification_id": "", "receipt": None}
    assert (msgspec.structs.replace(calls.found["together"].answer, **own)
            == msgspec.structs.replace(alone, **own))


async def test_the_same_request_of_a_turn_is_asked_once(desk):
    calls, code = Calls(desk), desk.code()
    assert calls.ask("first", code)
    assert not calls.ask("first again", code, request_id="first")
    await calls.all(1)
    assert len(desk.seen.records) == 1


async def test_scenes_with_a_face_are_asked_for_elsewhere(desk):
    assert not Calls(desk).ask("face", desk.code(), scene="face")


async def test_what_cannot_be_read_of_one_credential_fails_that_one(desk, monkeypatch):
    calls, standings = Calls(desk), desk.store.standings
    monkeypatch.setattr(desk.store, "standings", lambda ids: [
        StoreError("damaged") if number == 0 else found
        for number, found in enumerate(standings(ids))])
    calls.ask("damaged", desk.code())
    calls.ask("whole", desk.code())
    assert await calls.all(2) == {"damaged": StoreError, "whole": "ok"}
    # A failure isn't an answer, and spent nothing: the same request may try again.
    monkeypatch.setattr(desk.store, "standings", standings)
    calls.found.clear()
    assert calls.ask("damaged", desk.code(step=int(desk.clock.now // 5) + 1))
    assert await calls.all(1) == {"damaged": "ok"}


async def test_without_a_guard_nothing_is_accepted_and_refusals_still_are(desk, monkeypatch):
    def failing(spends, now_step):
        raise StoreError("full")

    monkeypatch.setattr(desk.guard, "spend_all", failing)
    calls = Calls(desk)
    calls.ask("good", desk.code())
    calls.ask("nonsense", "KH1:!")
    assert await calls.all(2) == {"good": StoreError, "nonsense": "malformed"}


async def test_nothing_is_spent_for_a_revoked_credential(desk, monkeypatch):
    spent = []
    spend_all = desk.guard.spend_all
    monkeypatch.setattr(desk.guard, "spend_all",
                        lambda spends, now: spent.extend(spends) or spend_all(spends, now))
    desk.set_status(Status.REVOKED)
    calls = Calls(desk)
    calls.ask("revoked", desk.code())
    calls.ask("nonsense", "KH1:!")
    assert await calls.all(2) == {"revoked": "credential_revoked", "nonsense": "malformed"}
    assert spent == []


async def test_without_a_journal_nobody_gets_an_answer(desk):
    journal = BrokenJournal(desk.journal)
    desk.verifier = desk.build(journal)
    calls = Calls(desk)
    calls.ask("good", desk.code())
    calls.ask("nonsense", "KH1:!")
    assert await calls.all(2) == {"good": JournalError, "nonsense": JournalError}
    assert desk.seen.records == []
    # The same showing may try again once the journal writes.
    journal.broken = False
    calls.found.clear()
    assert calls.ask("good", desk.code())
    assert await calls.all(1) == {"good": "ok"}


async def test_an_answer_that_is_late_is_kept_for_the_next_asking(desk):
    calls, code = Calls(desk), desk.code()
    calls.ask("late", code, deadline_s=-1.0)
    assert await calls.all(1) == {"late": DeadlineMissed}
    assert not calls.ask("late again", code, request_id="late")
    assert [record.reason for record in desk.seen.records] == ["ok"]


async def test_no_answer_leaves_before_its_record_is_durable(desk, monkeypatch):
    segments, release = desk.journal._segments, threading.Event()
    append = segments.append
    monkeypatch.setattr(segments, "append", lambda frames, records: (
        release.wait(10), append(frames, records)))
    calls = Calls(desk)
    calls.ask("good", desk.code())
    await asyncio.sleep(0.1)
    assert calls.found == {}
    assert desk.seen.records == []
    release.set()
    assert await calls.all(1) == {"good": "ok"}


async def test_a_fault_while_it_is_observed_is_told_to_all_and_not_waited_for(desk, monkeypatch):
    observed_all = desk.seen.observed_all

    def failing(records, timings_ms):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(desk.seen, "observed_all", failing)
    calls, code = Calls(desk), desk.code()
    calls.ask("good", code)
    calls.ask("nonsense", "KH1:!")
    assert await calls.all(2) == {"good": RuntimeError, "nonsense": RuntimeError}
    # As of a call by itself: it isn't an answer, and the same request may try again.
    monkeypatch.setattr(desk.seen, "observed_all", observed_all)
    calls.found.clear()
    assert calls.ask("good", code)
    assert await calls.all(1) == {"good": "ok"}


async def test_what_is_told_in_parts_is_observed_when_it_is_durable(desk):
    verifier, told = desk.verifier, []

    class InParts(together.AtJournal):
        def keep(self, records, timings_ms, settled) -> None:
            told.append((records, settled))

    gathered = together.Together(
        verifier, InParts(desk.journal), desk.seen, verifier.answers, time.monotonic, 0.0)
    verifier._together = gathered
    calls = Calls(desk)
    calls.ask("one", desk.code())
    calls.ask("two", "KH1:!")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    ((records, settled),) = told
    receipts = [await desk.journal.append(record) for record in records]
    settled([receipts[0], None])
    assert [record.reason for record in desk.seen.records] == ["ok"]
    settled([None, receipts[1]])
    assert [record.reason for record in desk.seen.records] == ["ok", "malformed"]
    assert await calls.all(2) == {"one": "ok", "two": "malformed"}
