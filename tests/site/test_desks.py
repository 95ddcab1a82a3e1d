"""Two desks of one site, whole verifications: how far a code was spent, and answers given again."""

import asyncio
import itertools

import pytest

from edge.cache.site.memory import MemoryOptions
from edge.cache.site.place import LinkOptions
from edge.cache.site.site import Site, SiteOptions
from edge.hotpath.reasons import Reason
from edge.hotpath.verdict import verdict
from edge.pipeline.calls import RequestConflict
from edge.pipeline.judgement import Judgement
from edge.protocol.journal import decode_record
from tests.pipeline.desk import CODE, GATE, NOW, OTHER_GATE, OWNER, STEP, Desk
from tests.site.nodes import DEADLINE_S, SECRET

KEPT_S_MAX = 5.0


class SiteDesk(Desk):
    """A desk whose node is one of a site."""

    def join(self, url: str) -> None:
        self.site = Site(SECRET, SiteOptions(
            link=LinkOptions(url=url), prefix="kanhe", answers_kept_s=600,
            memory=MemoryOptions(
                deadline_s=DEADLINE_S, now_step=lambda: int(self.clock.now // 5),
                clock_believed=lambda: True, window=lambda: (1, 1), recent=self.guard.recent),
            cursor=lambda: 0, wake=lambda: None))
        self.guard.site = self.site.memory
        self.verifier.answers.shared = self.site.answers
        self.site.start()

    async def until(self, *states: str) -> None:
        async with asyncio.timeout(20):
            while self.site.memory.state not in states:
                await asyncio.sleep(0.01)

    async def kept(self, count: int) -> None:
        async with asyncio.timeout(KEPT_S_MAX):
            while self.site.answers.kept < count:
                await asyncio.sleep(0.01)

    async def answer(self, *args, **kwargs):
        return (await self.verifier.verify(self.call(*args, **kwargs))).answer


@pytest.fixture
async def desks(tmp_path, redis_server):
    desks = [SiteDesk(tmp_path / name) for name in ("east", "west")]
    for number, desk in enumerate(desks):
        # Two requests are one only where a test says so.
        desk.requests = itertools.count(1_000 * number)
        desk.clock.now = NOW - 60
        desk.join(redis_server.url)
    for desk in desks:
        await desk.until("began_anew")
        desk.clock.now = NOW
        assert desk.site.memory.state == "shared"
    yield desks
    for desk in desks:
        await desk.site.stop()
        desk.close()


async def test_a_code_accepted_at_one_desk_is_refused_at_the_other(desks):
    east, west = desks
    first = await east.answer()
    assert (first.decision, first.evidence.replay_scope) == ("accept", "site")
    second = await west.answer()
    assert second.reason == "presentation_replayed"
    assert second.evidence.replay_scope == "site"
    record = decode_record(list(west.journal.recent(0))[-1][1])
    assert record.evidence.replay_scope == "site"


async def test_a_code_shown_at_both_desks_at_once_is_accepted_once(desks):
    for number in range(30):
        code = desks[0].code(STEP + 1 + number)
        for desk in desks:
            desk.clock.now = NOW + 5 * (1 + number)
        answers = await asyncio.gather(*(desk.answer(code=code) for desk in desks))
        assert sorted(answer.reason for answer in answers) == ["ok", "presentation_replayed"]


async def test_a_verdict_that_spends_nothing_says_how_far_it_would_be(desks, redis_server):
    east, _ = desks
    assert (await east.answer(code="nonsense")).evidence.replay_scope == "site"
    redis_server.kill()
    await east.answer()
    assert (await east.answer(code="nonsense")).evidence.replay_scope == "node"


async def test_an_accept_that_did_not_ask_the_site_does_not_claim_it(desks):
    east, _ = desks
    case = Judgement(
        verification_id="0" * 32, gate=GATE, scene="code", request_digest=bytes(16),
        body_digest=bytes(16), policy=CODE, trust=east.trust, now=NOW)
    for reason, scope in ((Reason.OK, "node"), (Reason.MALFORMED, "site")):
        record = case.record(verdict(reason), east.clock.state, east.guard)
        assert record.evidence.replay_scope == scope


async def test_a_verdict_without_redis_says_node(desks, redis_server):
    east, west = desks
    redis_server.kill()
    answer = await east.answer()
    assert (answer.decision, answer.evidence.replay_scope) == ("accept", "node")
    assert (await east.answer()).reason == "presentation_replayed"
    assert (await west.answer()).evidence.replay_scope == "node"


async def test_a_capture_says_how_far_its_code_was_spent(desks, redis_server):
    east, _ = desks
    waiting = await east.answer("face")
    assert (waiting.decision, waiting.evidence.replay_scope) == ("retry", "site")
    redis_server.kill()
    outcome = await east.verifier.capture(east.capture(waiting.verification_id, OWNER))
    assert (outcome.answer.decision, outcome.answer.evidence.replay_scope) == ("accept", "site")


async def test_a_request_retried_at_the_other_desk_gets_the_same_answer(desks):
    east, west = desks
    code = east.code()
    first = await east.verifier.verify(east.call(code=code, request="again"))
    await east.kept(1)
    size = west.journal.size
    second = await west.verifier.verify(west.call(code=code, request="again"))
    assert second.body == first.body
    assert west.journal.size == size
    # Long after its code: the answer is the request's, not the code's.
    west.clock.now += 300
    assert (await west.verifier.verify(west.call(code=code, request="again"))).body == first.body
    with pytest.raises(RequestConflict):
        await west.verifier.verify(west.call(code=east.code(STEP - 1), request="again"))


async def test_another_content_under_a_request_of_the_other_desk_is_a_conflict(desks):
    east, west = desks
    await east.verifier.verify(east.call(code=east.code(), request="again"))
    await east.kept(1)
    with pytest.raises(RequestConflict):
        await west.verifier.verify(west.call(code=east.code(STEP - 1), request="again"))


async def test_a_request_of_another_gate_gets_no_answer_of_this_one(desks):
    east, west = desks
    await east.verifier.verify(east.call(request="same"))
    await east.kept(1)
    outcome = await west.verifier.verify(west.call(request="same", gate=OTHER_GATE))
    assert outcome.answer.reason == "presentation_replayed"


async def test_a_request_retried_elsewhere_without_its_answer_is_the_same_showing(desks):
    east, west = desks
    code = east.code()
    first = await east.verifier.verify(east.call(code=code, request="again"))
    west.verifier.answers.shared = None
    second = await west.verifier.verify(west.call(code=code, request="again"))
    assert (first.answer.decision, second.answer.decision) == ("accept", "accept")


async def test_answers_are_sealed_in_redis_and_end(desks, redis_server):
    east, west = desks
    await east.verifier.verify(east.call(request="again"))
    await east.kept(1)
    client = redis_server.client()
    (name,) = client.scan_iter("kanhe:*:answer:*")
    assert 0 < client.ttl(name) <= 600
    sealed = client.get(name)
    for seen in ("马".encode(), b"accept", b"resident_id"):
        assert seen not in sealed
    # Altered or moved, it is no answer.
    client.set(name, sealed[:-1] + bytes([sealed[-1] ^ 1]))
    outcome = await west.verifier.verify(west.call(code=west.code(STEP + 1), request="again"))
    assert outcome.answer.decision == "accept"
    assert west.site.memory.counts.faults["foreign"] == 1


async def test_a_node_on_its_own_says_node_and_asks_nobody(tmp_path):
    desk = Desk(tmp_path)
    try:
        assert desk.guard.site is None
        outcome = await desk.verifier.verify(desk.call())
        assert outcome.answer.evidence.replay_scope == "node"
        assert "site" not in outcome.timings_ms
    finally:
        desk.close()
