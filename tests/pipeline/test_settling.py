"""Judged beside the keeper, settled by it: the same verdicts, each once, whoever dies between."""

import asyncio

import msgspec
import pytest

from edge.errors import JournalFull
from edge.hotpath.reasons import Reason
from edge.pipeline import codes, verify
from edge.pipeline.calls import RequestConflict
from edge.pipeline.codes import Changed, CodeVerifier, LeftToKeeper
from edge.pipeline.pace import GatePace, RateExceeded
from edge.pipeline.settling import Settler
from edge.protocol.journal import decode_record, encode_record
from edge.protocol.records import Status
from tests.fakes.line import FakeLine
from tests.pipeline.desk import CREDENTIAL, FACE, GATE, NOW, STEP, Desk


class Worker(CodeVerifier):
    """A process beside the keeper, whose answers are waited for."""

    async def verify(self, call):
        answered = asyncio.get_running_loop().create_future()
        self.take(call, lambda found: answered.done() or answered.set_result(found))
        found = await answered
        if isinstance(found, Exception):
            raise found
        return found


class Beside(Desk):
    """A desk whose codes are judged by a process beside its keeper."""

    def open(self) -> None:
        super().open()
        self.pace = GatePace(1e6, 1_000, 1e6)
        self.settler = Settler(
            answers=self.verifier.answers, guard=self.guard, journal=self.journal,
            observer=self.seen, pace=self.take)
        self.line, self.beside = self.another()

    def take(self, gate: str) -> None:
        self.pace.take(gate)

    def another(self) -> tuple[FakeLine, Worker]:
        line = FakeLine(self.settler)
        return line, Worker(
            trust=lambda: self.trust, clock=self.clock, cache=self.store, keeper=line,
            new_id=lambda: f"{next(self.ids):032x}", monotonic=lambda: 0.0)


@pytest.fixture
def beside(tmp_path):
    desk = Beside(tmp_path / "beside")
    yield desk
    desk.close()


@pytest.fixture
def alone(tmp_path):
    desk = Desk(tmp_path / "alone")
    yield desk
    desk.close()


def records(desk):
    return [decode_record(data) for _, data in desk.journal.recent(0)]


def no_status(desk):
    """Nothing is done."""


CASES = {
    "accepted": (no_status, {}),
    "malformed": (no_status, {"code": "KH1:BB8"}),
    "not a code": (no_status, {"code": "https://example.cn"}),
    "of another key": (no_status, {"code": "other"}),
    "late": (no_status, {"code": STEP - 9}),
    "early": (no_status, {"code": STEP + 9}),
    "revoked": (lambda desk: desk.set_status(Status.REVOKED), {}),
    "suspended": (lambda desk: desk.set_status(Status.SUSPENDED), {}),
    "of another kind": (lambda desk: desk.policy("code", accepts=("driving_licence",)), {}),
    "clock degraded": (lambda desk: setattr(desk.clock, "state", "degraded"), {}),
    "clock untrusted": (lambda desk: setattr(desk.clock, "state", "untrusted"), {}),
    "status stale": (lambda desk: setattr(desk, "trust", msgspec.structs.replace(
        desk.trust, status_as_of_s=int(NOW) - 90 * 86_400)), {}),
    "no keys": (lambda desk: setattr(desk, "trust", msgspec.structs.replace(
        desk.trust, keys=type(desk.trust.keys)())), {}),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_code_gets_the_same_verdict_beside_the_keeper_as_at_it(name, alone, beside):
    prepare, how = CASES[name]
    told = []
    for desk in (alone, beside):
        prepare(desk)
        code = how.get("code", STEP)
        text = desk.code(code) if isinstance(code, int) else code
        if code == "other":
            text = desk.code(STEP)[:-1] + ("0" if desk.code(STEP)[-1] != "0" else "1")
        verifier = desk.verifier if desk is alone else desk.beside
        # Shown twice: the second time it may be spent.
        told.append([(await verifier.verify(desk.call(code=text, request=f"r{turn}"))).answer
                     for turn in range(2)])
    for mine, theirs in zip(*told, strict=True):
        assert msgspec.structs.replace(
            theirs, receipt=mine.receipt, verification_id=mine.verification_id) == mine
        assert theirs.receipt.index == mine.receipt.index
    for mine, theirs in zip(records(alone), records(beside), strict=True):
        assert msgspec.structs.replace(theirs, verification_id=mine.verification_id) == mine
    assert alone.clock.seen == beside.clock.seen
    assert len(beside.seen.records) == 2


async def test_one_presentation_at_many_processes_at_once_is_accepted_once(beside):
    verifiers = [beside.verifier, *(beside.another()[1] for _ in range(7))]
    for step in range(STEP - 1, STEP + 2):
        code = beside.code(step)
        outcomes = await asyncio.gather(*(
            verifier.verify(beside.call(code=code)) for verifier in verifiers))
        reasons = sorted(outcome.answer.reason for outcome in outcomes)
        assert reasons == ["ok"] + ["presentation_replayed"] * 7
    replayed = [record for record in records(beside) if record.reason == "presentation_replayed"]
    assert len(replayed) == 21
    assert all(record.decision == "reject" and not record.disclosed for record in replayed)


async def test_one_request_at_many_processes_at_once_has_one_record_and_one_answer(beside):
    call = beside.call(request="same")
    verifiers = [beside.verifier, *(beside.another()[1] for _ in range(5))]
    outcomes = await asyncio.gather(*(verifier.verify(call) for verifier in verifiers))
    assert len({outcome.body for outcome in outcomes}) == 1
    assert outcomes[0].answer.decision == "accept"
    assert len(records(beside)) == len(beside.seen.records) == 1


async def test_a_conflicting_request_spends_nothing(beside):
    await beside.beside.verify(beside.call(code="KH1:BB8", request="same"))
    call = beside.call(request="same")
    with pytest.raises(RequestConflict):
        await beside.beside.verify(call)
    assert await beside.reason(code=call.presentation) == "ok"


async def test_a_process_that_dies_before_it_says_its_answer_leaves_it_to_be_made_again(beside):
    call = beside.call(request="same")
    beside.line.deaf = True
    first = await beside.beside.verify(call)
    waiting = asyncio.ensure_future(beside.verifier.verify(call))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    beside.line.die()
    assert (await waiting).body == first.body
    assert (await beside.another()[1].verify(call)).body == first.body
    assert len(records(beside)) == 1


async def test_a_process_that_dies_before_its_record_is_durable_loses_nothing(beside):
    call = beside.call(request="same")
    asked = asyncio.ensure_future(beside.beside.verify(call))
    await asyncio.sleep(0)
    beside.line.die()
    first = await beside.verifier.verify(call)
    assert first.answer.reason == "ok"
    assert len(records(beside)) == 1
    asked.cancel()


@pytest.fixture
def faulty(monkeypatch):
    """Have a module make no answer until undone."""
    def fail(*_):
        raise RuntimeError("a fault of ours")

    def break_(module, name):
        monkeypatch.setattr(module, name, fail)

    yield break_


async def test_an_answer_that_a_process_cannot_make_is_made_by_the_keeper(beside, faulty):
    faulty(codes, "answer_of")
    call = beside.call(request="same")
    with pytest.raises(RuntimeError, match="fault"):
        await beside.beside.verify(call)
    async with asyncio.timeout(5):
        again = [await verifier.verify(call) for verifier in (beside.verifier, beside.beside)]
    assert again[0].answer.reason == "ok"
    assert again[0].body == again[1].body
    assert len(records(beside)) == 1
    # Nothing of it is left that would be in the way of what is older.
    assert beside.settler._unanswered == {}


async def test_whoever_waits_for_an_answer_that_nobody_can_make_is_told(
        beside, faulty, monkeypatch):
    call = beside.call(request="same")
    beside.line.deaf = True
    await beside.beside.verify(call)
    waiting = asyncio.ensure_future(beside.verifier.verify(call))
    await asyncio.sleep(0)
    faulty(verify, "render")
    beside.line.die()
    async with asyncio.timeout(5):
        with pytest.raises(RuntimeError, match="fault"):
            await waiting
    monkeypatch.undo()
    assert (await beside.verifier.verify(call)).answer.reason == "ok"
    assert len(records(beside)) == 1


async def test_a_rate_holds_over_all_processes(beside):
    beside.pace = GatePace(0.001, 10, 0.001)
    verifiers = [beside.another()[1] for _ in range(3)]
    results = await asyncio.gather(*(
        verifiers[turn % 3].verify(beside.call(code="KH1:BB8")) for turn in range(30)),
        return_exceptions=True)
    assert sum(isinstance(result, RateExceeded) for result in results) == 20
    assert all(result.retry_after_s > 0 for result in results if isinstance(result, RateExceeded))


async def test_nothing_is_spent_that_cant_be_recorded_and_the_request_may_try_again(
        beside, monkeypatch):
    call = beside.call(request="same")
    with monkeypatch.context() as full:
        def check() -> None:
            raise JournalFull("the disk is full")

        full.setattr(beside.journal, "check", check)
        with pytest.raises(JournalFull, match="full"):
            await beside.beside.verify(call)
    assert (await beside.beside.verify(call)).answer.reason == "ok"


async def test_an_accept_is_never_journalled_unspent(beside):
    accepted = (await beside.beside.verify(beside.call())).answer
    assert accepted.decision == "accept"
    honest = records(beside)[0]
    for altered in (
        msgspec.structs.replace(honest, request_digest=bytes(16)),
        msgspec.structs.replace(
            honest, request_digest=bytes(15) + b"1", reason="operator_accepted"),
        msgspec.structs.replace(honest, request_digest=bytes(15) + b"2", credential_id=None),
    ):
        found = asyncio.get_running_loop().create_future()
        beside.line.keep([altered], {}, found.set_result)
        (settled,) = await found
        if isinstance(settled, RuntimeError):
            continue
        assert isinstance(settled, Changed)
        assert settled.record.reason == Reason.PRESENTATION_REPLAYED.value
        assert encode_record(settled.record) != encode_record(altered)
    assert [record.decision for record in records(beside)].count("accept") == 1


async def test_what_isnt_known_beside_the_keeper_is_left_to_it(beside):
    unknown = beside.code(STEP, CREDENTIAL[:-1] + b"\x09")
    with pytest.raises(LeftToKeeper):
        await beside.beside.verify(beside.call(code=unknown))
    assert records(beside) == []
    assert beside.beside.takes(GATE, "code")
    for scene in (FACE.scene, "gone", "none"):
        assert not beside.beside.takes(GATE, scene)


class FakeSite:
    """The guard and the answers of a site."""

    scope = "site"

    def __init__(self, said):
        self.said, self.asked, self.kept = said, [], {}

    async def spend(self, credential_id, step, showing):
        self.asked.append((credential_id, step, showing))
        await asyncio.sleep(0.01)
        return self.said

    async def find(self, id_):
        return self.kept.get(id_)

    def keep(self, id_, value):
        self.kept[id_] = value


@pytest.mark.parametrize(("said", "reason", "scope"), [
    ("site", "ok", "site"), ("node", "ok", "node"), ("spent", "presentation_replayed", "site")])
async def test_an_accept_asks_the_site_before_it_is_journalled(beside, said, reason, scope):
    site = FakeSite(said)
    beside.guard.site = beside.verifier.answers.shared = site
    verifier, call = beside.beside, beside.call()
    outcomes = await asyncio.gather(verifier.verify(call), beside.another()[1].verify(call))
    assert len(site.asked) == 1
    assert outcomes[0].body == outcomes[1].body
    answer = outcomes[0].answer
    assert (answer.reason, answer.evidence.replay_scope) == (reason, scope)
    assert (answer.disclosed is None) is (reason != "ok")
    # A refusal asks nobody, and says how far the site reaches now.
    refused = (await verifier.verify(beside.call(code="KH1:BB8"))).answer
    assert (refused.reason, refused.evidence.replay_scope) == ("malformed", "site")
    assert len(site.asked) == 1
    assert len(site.kept) == 2


async def test_another_nodes_answer_to_the_same_request_counts(beside):
    site = FakeSite("site")
    beside.guard.site = beside.verifier.answers.shared = site
    call = beside.call()
    first = await beside.beside.verify(call)
    # The other node has a table of its own, and the same site.
    beside.verifier.answers._entries.clear()
    assert (await beside.beside.verify(call)).body == first.body
    beside.verifier.answers._entries.clear()
    with pytest.raises(RequestConflict):
        await beside.beside.verify(beside.call(code="KH1:BB8", request=call.request_id))
    assert len(records(beside)) == 1


async def test_a_fault_while_it_is_observed_is_told_and_the_request_may_try_again(
        beside, monkeypatch):
    def failing(*_):
        raise RuntimeError("a fault of ours")

    call = beside.call(request="same")
    monkeypatch.setattr(beside.seen, "observed_all", failing)
    async with asyncio.timeout(5):
        with pytest.raises(RuntimeError):
            await beside.beside.verify(call)
    monkeypatch.undo()
    async with asyncio.timeout(5):
        assert (await beside.beside.verify(call)).answer.reason == "ok"


async def test_what_is_not_durable_is_told_as_such_though_observing_the_rest_fails(
        beside, monkeypatch):
    append = beside.journal.append_all_encoded

    def half(asked, settled):
        append(asked, lambda found: settled([found[0], JournalFull("the disk is full")]))

    def failing(*_):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(beside.journal, "append_all_encoded", half)
    monkeypatch.setattr(beside.seen, "observed_all", failing)
    found = await asyncio.gather(
        *(beside.beside.verify(beside.call(code=code)) for code in (beside.code(), "KH1:BB8")),
        return_exceptions=True)
    assert beside.line.turns == [2]
    assert [type(error) for error in found] == [RuntimeError, JournalFull]
