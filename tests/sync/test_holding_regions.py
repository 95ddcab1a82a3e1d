"""A node that holds some regions of the city, and the real platform over HTTP."""

import logging

import pytest

from central import registry
from edge.cache.selective import SelectiveStore
from edge.config import Central, EdgeConfig, check_edge
from edge.config import Holding as HoldingConfig
from edge.errors import ConfigError
from edge.holding import settle_mode
from edge.protocol.records import Status
from kanhe.made_up_city import REGIONS, credential_id, holder_id, region_of
from tests.sync import test_bootstrap as whole
from tests.sync import test_holding as parts
from tests.sync.test_bootstrap import HOLDERS, KEY, REVOKED

city, node = whole.city, parts.node
OURS, NEXT, THIRD = REGIONS[:3]


def of(*regions: str) -> list[int]:
    """Numbers of the holders of regions."""
    return [number for number in range(HOLDERS) if region_of(number) in regions]


async def on(node, *regions: str, mode: str = "region", lookup_ms: int = 3_000):
    node.config = EdgeConfig(
        data_dir=node.folder, central=Central(lookup_ms=lookup_ms),
        holding=HoldingConfig(mode=mode, regions=regions, ttl_s=60, arrivals_per_hour=100))
    await node.start()
    await node.online()
    return node


async def again(node, *regions: str, mode: str = "region"):
    """Restart the node, perhaps with other regions."""
    await node.follower.stop()
    await node.client.close()
    node.store.close()
    node.follower = None
    node.store = SelectiveStore(node.folder / "cache", KEY.derive)
    return await on(node, *regions, mode=mode)


def held(node) -> list[int]:
    """Numbers of the holders of whom everything is held."""
    return [n for n in range(HOLDERS)
            if len(node.store.credentials_of(holder_id(n))) == 3
            and node.store.reference(holder_id(n), "dlib-v1") is not None]


async def move(city, number: int, region: str) -> None:
    await city.platform.database.run(
        lambda tx: registry.set_region(tx, holder_id(number).hex(), region))


async def caught_up(city, node) -> None:
    head = await city.platform.database.run(lambda tx: tx.head())
    await node.wait(lambda: node.store.cursor() == head)


async def test_node_holds_of_a_snapshot_its_regions_and_what_is_of_nobody(city, node):
    await on(node, OURS, THIRD)
    assert held(node) == of(OURS, THIRD)
    expected = len(of(OURS, THIRD))
    assert node.store.counts() == {
        "credentials": 3 * expected, "references": expected, "status": 1}
    assert node.store.status(REVOKED).status is Status.REVOKED
    assert "hotel.checkin" in node.trust.policies
    shown = node.holding.shown
    assert (shown.mode, shown.regions, shown.regions_unseen) == ("region", (OURS, THIRD), ())
    assert (shown.entries, shown.entries_max) == (0, 100_000)
    node.clock.ahead_s = 10_000_000
    await node.holding.sweep()
    assert held(node) == of(OURS, THIRD)


async def test_who_moves_is_dropped_or_taken_up_with_the_next_feed_entry(city, node):
    await on(node, OURS)
    leaver, comer = of(OURS)[1], of(NEXT)[1]
    await move(city, leaver, NEXT)
    await move(city, comer, OURS)
    await caught_up(city, node)
    assert held(node) == sorted({*of(OURS), comer} - {leaver})
    assert node.store.reference(holder_id(leaver), "dlib-v1") is None
    await node.holding.sweep()
    assert node.counted('kanhe_holding_lapsed_total{why="moved"} 3.0')
    await move(city, leaver, OURS)
    await caught_up(city, node)
    assert held(node) == sorted({*of(OURS), comer})
    # A snapshot says the same.
    await city.platform.snapshots.make()
    await node.follower.believer.adopt(await node.builder.build(await node.order()))
    assert held(node) == sorted({*of(OURS), comer})


async def test_guest_of_another_region_is_asked_for_and_ends_with_the_time(city, node):
    await on(node, OURS)
    guest = of(NEXT)[0]
    await node.demand.want(credential_id(guest, 1))
    assert node.store.credential(credential_id(guest, 1)).holder_id == holder_id(guest)
    assert node.counted('kanhe_demand_lookups_total{result="found"} 1.0')
    assert (await node.expect(parts.number(of(THIRD)[0]))).found == 1
    assert node.holding.shown.entries == 4
    node.clock.ahead_s = 61
    await node.holding.sweep()
    assert node.store.credential(credential_id(guest, 1)) is None
    assert held(node) == of(OURS)
    await city.server.close()
    await node.wait(lambda: node.trust.mode == "offline")
    await node.demand.want(credential_id(guest, 1))
    assert node.store.credential(credential_id(guest, 1)) is None
    assert node.counted('kanhe_demand_lookups_total{result="offline"} 1.0')


async def test_guests_are_asked_for_again_when_a_snapshot_took_their_place(city, node):
    await on(node, OURS)
    await node.demand.want(credential_id(of(NEXT)[0], 1))
    await city.platform.snapshots.make()
    await node.follower.believer.adopt(await node.builder.build(await node.order()))
    assert node.store.credential(credential_id(of(NEXT)[0], 1)) is None
    await node.holding.ask_again()
    assert node.store.credential(credential_id(of(NEXT)[0], 1)) is not None
    assert held(node) == of(OURS)


async def test_restart_with_the_same_regions_fetches_nothing_anew(city, node):
    await on(node, OURS, NEXT)
    fetched = len(city.faults.asked)
    await again(node, NEXT, OURS)
    assert (held(node), len(city.faults.asked)) == (of(OURS, NEXT), fetched)


async def test_region_that_is_given_up_is_let_go_of_without_fetching(city, node):
    await on(node, OURS, NEXT)
    fetched = len(city.faults.asked)
    await again(node, OURS)
    assert (held(node), len(city.faults.asked)) == (of(OURS), fetched)
    await move(city, of(OURS)[0], NEXT)
    await caught_up(city, node)
    assert held(node) == of(OURS)[1:]


async def test_region_that_is_added_is_taken_in_from_the_beginning(city, node, caplog):
    await on(node, OURS)
    await node.demand.want(credential_id(of(THIRD)[0], 1))
    fetched = len(city.faults.asked)
    with caplog.at_level(logging.WARNING):
        await again(node, OURS, NEXT)
    assert [record.regions for record in caplog.records
            if record.message == "holding.anew"] == [[OURS, NEXT]]
    assert held(node) == of(OURS, NEXT)
    assert len(city.faults.asked) == 2 * fetched
    await node.holding.ask_again()
    assert node.store.credential(credential_id(of(THIRD)[0], 1)) is not None


async def test_from_everything_to_a_region_and_back(city, node):
    await on(node, mode="all")
    assert held(node) == list(range(HOLDERS))
    fetched = len(city.faults.asked)
    await again(node, OURS)
    assert (held(node), len(city.faults.asked)) == (of(OURS), fetched)
    assert node.holding.shown.regions_unseen == ()
    await again(node, mode="all")
    assert held(node) == list(range(HOLDERS))
    assert node.holding.shown.regions == ()


async def test_from_arrivals_to_a_region_and_back(city, node):
    await on(node, mode="arrivals")
    assert held(node) == []
    await again(node, OURS)
    assert held(node) == of(OURS)
    await again(node, mode="arrivals")
    assert node.store.counts() == {"credentials": 0, "references": 0, "status": 1}


async def test_region_that_nobody_is_of_is_said_once_the_feed_is_here(city, node, caplog):
    node.config = EdgeConfig(
        data_dir=node.folder, holding=HoldingConfig(mode="region", regions=("330299", OURS)))
    await node.start()
    node.holding.say_unseen()
    assert not caplog.records, "nothing is known before the feed is here"
    await node.online()
    assert node.holding.shown.regions_unseen == ("330299",)
    for _ in range(2):
        node.holding.say_unseen()
    said = [record for record in caplog.records if record.message == "holding.region_unknown"]
    assert [record.regions for record in said] == [["330299"]]
    assert said[0].named == sorted(REGIONS)
    await move(city, 1, "330299")
    await caught_up(city, node)
    assert node.holding.shown.regions_unseen == ()


@pytest.mark.parametrize(("mode", "regions", "words"), [
    ("region", (), "one region at least"), ("region", ("海曙",), "'海曙' is no code"),
    ("region", (OURS, "x" * 17), "no code of a region: up to 16 letters"),
    ("region", ("a\nb",), "no code"), ("region", ("",), "no code"),
    ("all", (OURS,), 'holding.mode is "all"'), ("arrivals", (OURS,), 'mode "region" only'),
])
def test_regions_that_can_not_be_are_refused_at_the_start_with_what_to_do(
    tmp_path, mode, regions, words
):
    config = EdgeConfig(
        data_dir=tmp_path, holding=HoldingConfig(mode=mode, regions=regions))
    store = SelectiveStore(tmp_path / "cache", KEY.derive)
    try:
        with pytest.raises(ConfigError, match=words) as refused:
            settle_mode(config, store)
        assert str(refused.value).startswith("holding.regions: ")
    finally:
        store.close()
    found = [item for item in check_edge(config) if item.key == "holding.regions"]
    assert [(item.kind, words.strip("'") in item.words) for item in found] == [("error", True)]
