"""A list that unfolds without end, is endless on the wire, or counts with the wrong bits."""

import zlib

import pytest
from aiohttp import web

from edge.errors import FeedRefused
from edge.hotpath import statuslist
from edge.protocol import cose
from edge.protocol.feed import list_uri
from edge.sync.client import CentralClient
from edge.sync.envelope import Rule
from tests.attacks.list_story import NOW_S, knowing, refused
from tests.fakes.central_simulator import CentralSimulator
from tests.fakes.feed_forge import LOG


def token_of(node, lst: bytes, bits: object = 2) -> bytes:
    claims = {2: list_uri(LOG, 0), 6: NOW_S, 4: NOW_S + 60, 65534: 300,
              65533: {"bits": bits, "lst": lst}}
    return cose.sign(node.forge.keys.status[0], statuslist._PROTECTED, cose.dump(claims))


async def test_a_list_that_unfolds_beyond_the_bound_is_refused_even_from_the_platform():
    async with knowing() as node:
        for size in (statuslist.LIST_BYTES_MAX + 1, 32 * 1024 * 1024):
            with refused(Rule.CONTENT):
                await node.keeper.believe(0, token_of(node, zlib.compress(bytes(size), 9)))
        await node.keeper.believe(
            0, token_of(node, zlib.compress(bytes(statuslist.LIST_BYTES_MAX), 9)))


@pytest.mark.parametrize("bits", [0, 3, 16, -1, "2", None, 2**70])
async def test_bits_that_cannot_be_are_refused(bits):
    async with knowing() as node:
        with refused(Rule.CONTENT):
            await node.keeper.believe(0, token_of(node, zlib.compress(b"\0"), bits))


async def test_an_endless_answer_is_cut_off_on_the_wire():
    def endless(request: web.Request, honest: bytes) -> bytes:
        return bytes(statuslist.TOKEN_BYTES_MAX + 1)

    async with CentralSimulator(lambda: NOW_S) as central:
        central.list_statuses(0)
        central.tamper = endless
        client = CentralClient(central.url)
        with pytest.raises(FeedRefused):
            await client.status_list(0, "")
        await client.close()
