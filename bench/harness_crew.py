"""A node of several processes under load: `python -m bench.harness_crew FOLDER PROCESSES`.

- The surface of `bench.harness_http`, and beside it the real workers, on one port.
- Prints its port and serves until told to stop.
"""

import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from bench.harness_clock import BelievedClock
from bench.harness_http import epoch_keys, node_parts
from edge.access.listening import Wire, bind, serve
from edge.access.tls import Tls
from edge.collector import calm_collector
from edge.config import EdgeConfig, Workers
from edge.crew.crew import open_crew
from edge.front import NODE_NAME
from edge.ui.pages import Pages

LOOPBACK = "127.0.0.1"


async def serve_crew(folder: Path, processes: int) -> None:
    """Serve on a free port of loopback, and print it once all processes serve."""
    parts = node_parts(folder)
    # Workers read their keys from the store.
    parts.store.put_epochs([epoch_keys(day) for day in parts.trust.keys.key_epochs], {})
    crew = open_crew(
        EdgeConfig(data_dir=folder, workers=Workers(processes=processes), limits=parts.limits),
        verifier=parts.verifier, guard=parts.guard, journal=parts.journal,
        observer=parts.metrics, server=parts.server, clock=BelievedClock(), store=parts.store,
        trust=lambda: parts.trust, problem=parts.metrics.problem, refused=parts.metrics.refused,
        insecure=False)
    stop, ready = asyncio.Event(), asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    port = ""

    def said(url: str) -> None:
        """Keep the port of the address that is served."""
        nonlocal port
        port = url.rpartition(":")[2]
        ready.set()

    calm_collector()
    serving = asyncio.create_task(serve(
        parts.server.application(Pages(("edge.web",), NODE_NAME)),
        bind(LOOPBACK, 0, 1, shared=True), Wire(Tls(), LOOPBACK, Path(), insecure=False),
        ready=said, stop=stop, shutdown_s=1.0, connections=parts.server.connections(),
        beside=crew if processes > 1 else None))
    await ready.wait()
    while processes > 1 and crew.lines.serving < processes - 1:
        await asyncio.sleep(0.02)
    print(port, flush=True)
    await serving
    parts.journal.close()


if __name__ == "__main__":
    uvloop.run(serve_crew(Path(sys.argv[1]), int(sys.argv[2])))
