"""Runs a node: binds its port, starts it, serves until told to stop.

- What was started is stopped, whatever happens in between.
"""

import asyncio
from collections.abc import Callable

from edge.access.listening import bind, serve
from edge.app import Node
from edge.collector import calm_collector
from edge.config import EdgeConfig
from edge.front import wire_of
from edge.models.convert import Progress

SHUTDOWN_S = 10.0


async def run_node(
    config: EdgeConfig, ready: Callable[[str], None], stop: asyncio.Event, progress: Progress,
    *, insecure: bool = False,
) -> None:
    """Run a node until `stop` is set.

    Args:
        config: The node's.
        ready: Told the node's address once it answers.
        stop: Set to stop gracefully.
        progress: Hears of the face pack's making.
        insecure: Serve clear HTTP beyond loopback.

    Raises:
        OperatingError: It can't start.
    """
    wire = wire_of(config, insecure=insecure)
    node = Node(config, progress)
    await node.start()
    try:
        listening = bind(config.listen.host, config.listen.port, config.listen.port_tries,
                         shared=config.workers.processes > 1)
        app, connections, crew = node.surface(wire, insecure=insecure)
        calm_collector()
        await serve(app, listening, wire, ready=ready, stop=stop, shutdown_s=SHUTDOWN_S,
                    connections=connections, beside=crew)
    finally:
        await node.stop()
