"""An older list, genuinely signed, is offered again to undo a revocation."""

from edge.protocol.records import Status
from edge.sync.envelope import Rule
from tests.attacks.list_story import NOW_S, knowing, refused


async def test_a_list_from_before_the_one_held_is_refused():
    async with knowing(1) as node:
        with refused(Rule.ROLLBACK):
            await node.keeper.believe(0, node.token(0, issued_s=NOW_S - 1))
        assert node.status() is Status.REVOKED


async def test_another_list_of_the_same_second_does_not_replace_the_one_held():
    async with knowing(1) as node:
        await node.keeper.believe(0, node.token(0))
        assert node.status() is Status.REVOKED


async def test_the_floor_holds_over_a_restart():
    async with knowing(1) as node:
        forge, store = node.forge, node.store
        old = node.token(0, issued_s=NOW_S - 1)
    async with knowing(forge=forge, store=store) as again:
        assert again.status() is Status.REVOKED
        with refused(Rule.ROLLBACK):
            await again.keeper.believe(0, old)


async def test_a_newer_list_is_believed():
    async with knowing(1) as node:
        await node.keeper.believe(0, node.token(2, issued_s=NOW_S + 1))
        assert node.status() is Status.SUSPENDED
