"""A platform and a node that knows it, both on loopback."""

import pytest

from tests.fakes.central_simulator import CentralSimulator
from tests.fakes.city import epoch, gate, policy
from tests.sync.node import TODAY, Clock, Node


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def central(clock):
    async with CentralSimulator(clock) as simulator:
        await simulator.set_policy(policy())
        await simulator.register_gate(gate())
        await simulator.make_epochs(*(epoch(day) for day in range(TODAY - 1, TODAY + 2)))
        yield simulator


@pytest.fixture
async def node(central, clock):
    """An enrolled node that follows, and waits for changes."""
    node = Node(central, clock)
    await node.enrol()
    await node.start()
    await node.settled()
    yield node
    await node.stop()
