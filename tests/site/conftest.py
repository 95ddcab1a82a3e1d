"""A Redis for the tests of a site, and nodes that use it."""

import pytest

from tests.site.nodes import DEADLINE_S, GuardedNode, Steps
from tests.site.redis_server import RedisServer, why_absent
from tests.site.relay import Relay


@pytest.fixture
def redis_installed():
    if missing := why_absent():
        pytest.skip(missing)


@pytest.fixture
def redis_server(redis_installed):
    server = RedisServer()
    yield server
    server.remove()


@pytest.fixture
def steps():
    return Steps()


@pytest.fixture
async def open_node(tmp_path, steps):
    """Give a function that opens a node of a site."""
    opened = []

    def open_(url: str, **differently) -> GuardedNode:
        opened.append(GuardedNode(tmp_path, url, steps, **differently))
        return opened[-1]

    yield open_
    for node in opened:
        await node.close()


@pytest.fixture
async def site(redis_server, open_node, steps, request):
    """Two nodes that share one whole memory; a test may give their deadline."""
    deadline_s = getattr(request, "param", DEADLINE_S)
    nodes = [open_node(redis_server.url, deadline_s=deadline_s) for _ in range(2)]
    for node in nodes:
        await node.until("shared", "began_anew")
    steps.pass_floor()
    for node in nodes:
        assert node.state == "shared"
    return nodes


@pytest.fixture
async def relay(redis_server):
    relay = Relay(redis_server.port)
    await relay.mend()
    yield relay
    await relay.cut()
