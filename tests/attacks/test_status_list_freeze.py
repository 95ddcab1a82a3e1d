"""A list is held back until it has run out, or comes from a time that isn't yet."""

from edge.protocol.records import Status
from edge.sync.checks import CLOCK_AHEAD_S_MAX
from edge.sync.envelope import Rule
from tests.attacks.list_story import NOW_S, knowing, refused


async def test_a_list_that_has_run_out_on_its_way_is_refused():
    async with knowing() as node:
        with refused(Rule.EXPIRED):
            await node.keeper.believe(0, node.token(0, expires_s=NOW_S))
        await node.keeper.believe(0, node.token(0, expires_s=NOW_S + 1))


async def test_a_list_that_runs_out_while_held_can_only_say_who_is_withdrawn():
    async with knowing(0, 1) as node:
        assert node.status(0) is Status.VALID
        node.now += 86_400
        assert node.status(0) is None
        assert node.status(1) is Status.REVOKED


async def test_a_list_from_the_future_does_not_lift_the_floor():
    async with knowing(0) as node:
        late = NOW_S + CLOCK_AHEAD_S_MAX
        with refused(Rule.FUTURE):
            await node.keeper.believe(0, node.token(0, issued_s=late + 1))
        await node.keeper.believe(0, node.token(1, issued_s=late))
        assert node.status() is Status.REVOKED
