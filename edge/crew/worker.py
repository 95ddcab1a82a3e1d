"""One worker: answers codes beside the keeper, on the same port. `python -m edge.crew.worker`.

- Started by `edge.crew.crew` with the node's data folder and a number; everything else it is told.
- It ends when the keeper does: by the line's end, and by the kernel even if it hangs.
- It holds no models, no journal and no guard; what it can't answer goes to the keeper.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import uvloop

from edge.access.listening import BACKLOG, Wire, bind
from edge.access.tls import Tls, tls_mode
from edge.cache.reader import StoreReader
from edge.collector import calm_collector
from edge.config import EdgeConfig, Limits
from edge.crew.door import Doors
from edge.crew.keeper import KeeperLine
from edge.crew.words import SOCKET, StoreReplaced
from edge.errors import CapacityError, OperatingError
from edge.hotpath.presentation import warm_codes
from edge.logs import set_up_logs
from edge.node_key import load_or_create_node_key
from edge.pipeline.answer import Outcome
from edge.pipeline.calls import VerificationCall
from edge.pipeline.codes import CodeVerifier, LeftToKeeper
from edge.pipeline.ids import RandomIds
from edge.pipeline.pace import GatePace
from edge.protocol.records import GateRecord
from edge.settings import decode_path
from edge.web.bodies import read_code
from edge.web.heads import Heads
from edge.web.problems import translate
from edge.web.raw import RawResponses
from edge.web.short import Respond

TLS_FOLDER = "tls"
IDLE_LOOK_S = 5.0
DRAIN_S = 10.0
_PR_SET_PDEATHSIG = 1


class Answering:
    """The handler of a gate's JSON verification at a worker."""

    def __init__(self, verifier: CodeVerifier, keeper: KeeperLine, limits: Limits) -> None:
        """Take what it asks."""
        self._verifier, self._keeper, self._limits = verifier, keeper, limits
        self._raw = RawResponses()
        # Bounds what one gate costs this process; the keeper bounds it over all of them.
        self._pace = GatePace(
            limits.gate_rate_per_s, limits.gate_burst, limits.gate_rate_max_per_s,
            refused=keeper.refused)

    def quick(self, gate: GateRecord, body: bytes, respond: Respond) -> None:
        """Have the whole response to a gate's body given to `respond`; raises nothing."""
        try:
            code = read_code(body)
            if code is None or not self._verifier.takes(gate, code.scene):
                self._keeper.call(gate.gate_id, body, partial(self._passed, respond))
                return
            self._pace.take(gate.gate_id, gate.rate_per_s)
            self._verifier.take(VerificationCall(
                gate=gate, scene=code.scene, request_id=code.request_id,
                presentation=code.presentation, code_image=None, face_images=(),
                challenge_id=code.challenge_id,
                deadline_s=time.monotonic() + self._limits.deadline_s,
            ), partial(self._answered, gate, body, respond))
        except Exception as error:
            self._failed(respond, error)

    def _answered(
        self, gate: GateRecord, body: bytes, respond: Respond, found: Outcome | Exception
    ) -> None:
        if isinstance(found, Outcome):
            respond(self._raw.answer(found.body, found.timings_ms))
        elif isinstance(found, LeftToKeeper | StoreReplaced):
            # What was judged by a store that was replaced isn't settled: the keeper judges it.
            try:
                self._keeper.call(gate.gate_id, body, partial(self._passed, respond))
            except CapacityError as error:
                self._failed(respond, error)
        else:
            self._failed(respond, found)

    def _passed(self, respond: Respond, found: bytes | Exception) -> None:
        if isinstance(found, bytes):
            respond(found)
        else:
            self._failed(respond, found)

    def _failed(self, respond: Respond, error: Exception) -> None:
        response = translate(error)
        self._keeper.problem(response.status)
        respond(self._raw.of(response))


async def work(folder: Path, slot: int, stop: asyncio.Event) -> None:
    """Work until told to stop or the keeper is gone.

    Raises:
        OperatingError: It can't begin.
    """
    loop = asyncio.get_running_loop()
    place = os.open(folder, os.O_PATH | os.O_DIRECTORY)

    async def connect(made: Callable[[], asyncio.Protocol]) -> object:
        return await loop.create_unix_connection(made, f"/proc/self/fd/{place}/{SOCKET}")

    keeper = KeeperLine(slot)
    await connect(lambda: keeper)
    welcome = await asyncio.wait_for(keeper.welcome, DRAIN_S)
    config = msgspec.json.decode(welcome.config, type=EdgeConfig, dec_hook=decode_path)
    set_up_logs(config.log_level)
    key = load_or_create_node_key(folder / "node.key")
    reader = StoreReader(folder / "cache", key.derive)
    warm_codes()
    keeper.use(reader)
    await keeper.ready.wait()
    verifier = CodeVerifier(
        trust=lambda: keeper.trust, clock=keeper, cache=reader, keeper=keeper,
        new_id=RandomIds(), monotonic=time.monotonic, asks=bool(config.central.lookup_ms))
    answering = Answering(verifier, keeper, config.limits)
    doors = Doors(answering.quick, Heads(lambda: keeper.trust.gates), connect)
    wire = wire_beside(config, folder, insecure=welcome.insecure)
    listening = bind(config.listen.host, welcome.port, 1, beside=True)
    renewing = asyncio.create_task(wire.keep_renewed())
    server = await loop.create_server(
        doors.door, sock=listening, backlog=BACKLOG, ssl=wire.context)
    calm_collector()
    keeper.serving()
    looking = asyncio.create_task(_close_idle(doors))
    await _either(stop, keeper.lost)
    server.close()
    await doors.drain(DRAIN_S)
    for task in (renewing, looking):
        task.cancel()
    if not keeper.lost.is_set():
        keeper.drained()
        # Connections that were passed on end when the keeper ends them.
        await keeper.lost.wait()
    reader.close()


def wire_beside(config: EdgeConfig, folder: Path, *, insecure: bool) -> Wire:
    """Give how a worker is reached: with the keeper's certificate, which only the keeper renews."""
    tls = config.tls
    if tls_mode(tls, config.listen.host, insecure=insecure) == "local":
        place = folder / TLS_FOLDER
        tls = Tls(mode="given", certificate=place / "server.crt", key=place / "server.key")
    return Wire(tls, config.listen.host, folder / TLS_FOLDER, insecure=insecure)


async def _close_idle(doors: Doors) -> None:
    while True:
        await asyncio.sleep(IDLE_LOOK_S)
        doors.close_idle(asyncio.get_running_loop().time())


async def _either(first: asyncio.Event, second: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in (first, second)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


def main(folder: str, slot: str) -> int:
    """Run one worker."""
    parent = os.getppid()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return 1
    set_up_logs("info")

    async def run() -> None:
        stop = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        await work(Path(folder), int(slot), stop)

    try:
        uvloop.run(run())
    except (OperatingError, OSError, TimeoutError) as error:
        sys.stderr.write(f"worker {slot}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
