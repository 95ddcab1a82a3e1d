"""Endless data: a snapshot, its name or a part that goes on beyond what was named."""

import pytest
from aiohttp import web

from edge.errors import CentralError, FeedRefused
from edge.protocol.feed import ENVELOPE_BYTES_MAX
from edge.sync import fetch
from edge.sync.envelope import Rule
from edge.sync.snapshot import trust_timestamp
from tests.attacks.feed_story import GRANTED, NOW_S, refused
from tests.attacks.snapshot_story import at, believed
from tests.attacks.wire_story import Endless, answered_by
from tests.fakes.feed_forge import Forge
from tests.fakes.snapshot_forge import Forged

AHEAD_BYTES = 16 * 1024 * 1024
"""What sockets may have taken of an answer before it was cut off."""


@pytest.mark.parametrize("call", [
    lambda client: client.timestamp(),
    lambda client: client.snapshot(1_000),
])
async def test_metadata_that_never_ends_is_cut_off_at_its_bound(call):
    endless = Endless()
    async with answered_by(endless.answer) as client:
        with pytest.raises(FeedRefused, match="goes on beyond"):
            await call(client)
    assert endless.sent < AHEAD_BYTES


@pytest.mark.parametrize(("length", "good"), [
    (ENVELOPE_BYTES_MAX, True), (ENVELOPE_BYTES_MAX + 1, False), (2**62, False)])
def test_timestamp_that_names_more_than_a_snapshot_may_be_is_refused(length, good):
    """Whoever has only the timestamp's key must not be able to fill a node's memory."""
    forge = Forge(NOW_S)
    forged = Forged(forge, [GRANTED], named={"length": length})
    if good:
        trust_timestamp(at(forge), forged.timestamp, NOW_S)
        return
    with refused(Rule.CONTENT):
        trust_timestamp(at(forge), forged.timestamp, NOW_S)


async def test_part_that_never_ends_is_cut_off_at_its_named_length_and_fills_no_disk(tmp_path):
    forge = Forge(NOW_S)
    snapshot = believed(at(forge), Forged(forge, [GRANTED]))
    endless = Endless(206)
    async with answered_by(endless.answer) as client:
        with pytest.raises(FeedRefused, match="goes on beyond"):
            await fetch.fetch_parts(client, snapshot, tmp_path, lambda *_: None)
    assert endless.sent < AHEAD_BYTES
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= (
        snapshot.snapshot.parts[0].length)


async def test_answers_that_hold_nothing_are_asked_for_a_bounded_number_of_times(
    tmp_path, monkeypatch
):
    asked = 0

    async def nothing(_):
        nonlocal asked
        asked += 1
        return web.Response(status=206)

    monkeypatch.setattr(fetch, "PAUSE_S", 0.0)
    forge = Forge(NOW_S)
    snapshot = believed(at(forge), Forged(forge, [GRANTED]))
    async with answered_by(nothing) as client:
        with pytest.raises(CentralError, match="hold nothing"):
            await fetch.fetch_parts(client, snapshot, tmp_path, lambda *_: None)
    assert asked == fetch.TRIES_MAX
