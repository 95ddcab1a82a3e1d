"""Endless data: an answer of the feed that never ends is cut off while it is read."""

import pytest

from edge.errors import FeedRefused
from edge.protocol.feed import ENVELOPE_BYTES_MAX
from tests.attacks.wire_story import Endless, answered_by

AHEAD_BYTES = 16 * 1024 * 1024
"""What sockets may have taken of an answer before it was cut off."""


@pytest.mark.parametrize("call", [
    lambda client: client.feed(0, 0),
    lambda client: client.keys(),
    lambda client: client.root(2),
    lambda client: client.look_up(b"{}", 5.0),
    lambda client: client.status_list(0, ""),
])
async def test_answer_that_never_ends_is_cut_off_at_its_bound(call):
    endless = Endless()
    async with answered_by(endless.answer) as client:
        with pytest.raises(FeedRefused, match="goes on beyond"):
            await call(client)
    assert endless.sent < ENVELOPE_BYTES_MAX + AHEAD_BYTES
