"""A list of somebody else: another key, another role's key, another list's or city's name."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.protocol.feed import list_uri
from edge.sync.envelope import Rule
from tests.attacks.list_story import knowing, refused
from tests.fakes.feed_forge import LOG


async def test_a_strangers_signature_is_refused():
    async with knowing() as node:
        with refused(Rule.CONTENT):
            await node.keeper.believe(0, node.token(0, key=Ed25519PrivateKey.generate()))
        assert node.status() is None


@pytest.mark.parametrize("role", ["root", "changes", "keys", "cards"])
async def test_a_key_of_another_role_signs_no_list(role):
    async with knowing() as node:
        with refused(Rule.CONTENT):
            await node.keeper.believe(0, node.token(0, key=node.forge.keys.roles()[role][0]))


@pytest.mark.parametrize("uri", [list_uri(LOG, 1), list_uri("another", 0), "https://evil/0"])
async def test_a_list_of_another_name_is_refused(uri):
    async with knowing() as node:
        with refused(Rule.CONTENT):
            await node.keeper.believe(0, node.token(0, uri=uri))
