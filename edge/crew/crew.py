"""Starts the workers of a node, starts one that died again, and ends them.

- A worker is a program of its own (`edge.crew.worker`), so that nothing of the keeper's memory, its
  threads or its LMDB environments is in it.
- One that dies is started again at once, then after pauses that double up to a bound.
- Stopping: they take no new connections and answer what they have, then the keeper does the same,
  then they end.
"""

import asyncio
import contextlib
import logging
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from edge.access.listening import Wire
from edge.config import EdgeConfig
from edge.crew.desk import Desk
from edge.crew.lines import KeeperClock, KeeperParts, Lines
from edge.crew.words import Welcome
from edge.errors import OperatingError
from edge.hotpath.trust import Trust
from edge.pipeline.pace import GatePace
from edge.pipeline.ports import Observer, ReplayGuard
from edge.pipeline.settling import EncodedJournal, Settler
from edge.pipeline.verify import Verifier
from edge.sync.backoff import Backoff

RESTART_FIRST_S, RESTART_S_MAX = 0.1, 30.0
STEADY_S = 60.0
"""A worker that lived so long isn't one that can't start."""
END_S = 2.0
_LOG = logging.getLogger(__name__)


class SharedStore(Protocol):
    """What the keeper's store is to those who read it beside."""

    @property
    def replaced(self) -> int:
        """How often it was replaced by another one."""
        ...

    def forget_dead_readers(self) -> None:
        """Free the places of readers whose process is gone."""
        ...


class Crew:
    """The workers beside a keeper. Implements `edge.access.listening.Beside`."""

    def __init__(
        self, config: EdgeConfig, parts: KeeperParts, trust: Callable[[], Trust],
        store: SharedStore, *, gather: Callable[[], None], insecure: bool = False,
    ) -> None:
        """Take the node's configuration and parts; nothing is started.

        `gather` has the keeper's own codes gather, once there are workers.
        """
        self._config, self._insecure, self._store = config, insecure, store
        self._gather = gather
        self.lines = Lines(parts, trust)
        self.lines.store = store.replaced
        self._desk: Desk | None = None
        self._slots: list[asyncio.Task[None]] = []
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._ending = False
        self.restarts = 0

    @property
    def wanted(self) -> int:
        """How many processes there are to be, the keeper among them."""
        return self._config.workers.processes

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers that run."""
        return [process.pid for process in self._processes.values()]

    def publish(self, trust: Trust) -> None:
        """Tell all workers a new trust, and first of a store that was replaced since the last."""
        if self.lines.store != self._store.replaced:
            self.lines.reopen_store(self._store.replaced)
        self.lines.publish(trust)

    async def start(
        self, made: Callable[[], asyncio.Protocol], port: int, wire: Wire
    ) -> None:
        """Open the socket and start the workers.

        Args:
            made: Makes a client's connection.
            port: That all share.
            wire: What this process serves with.

        Raises:
            OperatingError: The socket can't be made.
        """
        self._gather()
        config = msgspec.json.encode(self._config, enc_hook=_shown_path)
        self.lines.start(Welcome(config, port, self._insecure))
        self._desk = Desk(self._config.data_dir, self.lines, made, wire.context)
        await self._desk.open()
        self._slots = [
            asyncio.create_task(self._keep(slot), name=f"kanhe-worker-{slot}")
            for slot in range(1, self._config.workers.processes)
        ]

    async def drain(self, within_s: float) -> None:
        """Have the workers take nothing new and answer what they have."""
        self._ending = True
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        await self.lines.drain(within_s)

    async def stop(self) -> None:
        """End the workers."""
        self._ending = True
        if self._desk is not None:
            self._desk.close()
        self.lines.close()
        if self._slots:
            _, late = await asyncio.wait(self._slots, timeout=END_S)
            for process in self._processes.values():
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _stopping(self) -> bool:
        return self._ending

    async def _keep(self, slot: int) -> None:
        """Keep one worker running."""
        loop, backoff = asyncio.get_running_loop(), Backoff(RESTART_FIRST_S, random.random)
        while not self._stopping():
            begun = loop.time()
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "edge.crew.worker", str(self._config.data_dir),
                    str(slot), stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL)
                self._processes[slot] = process
                code: int | None = await process.wait()
                self._processes.pop(slot)
                self._store.forget_dead_readers()
            except (OSError, OperatingError) as error:
                code = None
                _LOG.error("worker.not_started", extra={"slot": slot, "why": str(error)})
            if self._stopping():
                return
            self.restarts += 1
            if loop.time() - begun > STEADY_S:
                backoff.reset()
            backoff.failed()
            _LOG.warning("worker.ended", extra={"slot": slot, "code": code})
            await backoff.pause(RESTART_S_MAX)


class Serves(Protocol):
    """What the keeper's handlers are to its workers."""

    @property
    def pace(self) -> GatePace:
        """How often each gate may call."""
        ...

    async def passed(self, gate_id: str, body: bytes) -> bytes:
        """Answer a whole call of a gate."""
        ...


def open_crew(
    config: EdgeConfig, *, verifier: Verifier, guard: ReplayGuard, journal: EncodedJournal,
    observer: Observer, server: Serves, clock: KeeperClock, store: SharedStore,
    trust: Callable[[], Trust], problem: Callable[[int, int], None],
    refused: Callable[[str, int], None], insecure: bool,
) -> Crew:
    """Give the workers of a node, not started."""
    def pace(gate_id: str) -> None:
        gate = trust().gates.get(gate_id)
        server.pace.take(gate_id, gate.rate_per_s if gate is not None else None)

    settler = Settler(answers=verifier.answers, guard=guard, journal=journal, observer=observer,
                      pace=pace)
    parts = KeeperParts(settler=settler, call=server.passed, clock=clock,
                        scope=lambda: (guard.site or guard).scope, problem=problem, refused=refused)
    return Crew(config, parts, trust, store, gather=verifier.gather, insecure=insecure)


def _shown_path(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a configuration holds no {type(value).__name__}")
