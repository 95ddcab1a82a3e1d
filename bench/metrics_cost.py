"""`metrics-cost`: what counting and watching an answer costs, as a share of a verification.

- Ours: CPU time of everything a node does with an answer for metrics and signals, on the records
  of real verifications.
- Theirs: CPU time of the same code-only verifications without it, in process, without sockets: from
  a request's body to the bytes of its response, by way of code, store, guard and durable journal;
  32 at once.
"""

import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.harness import Result
from bench.harness_clock import BelievedClock
from bench.harness_http import SCENE, credential_id, epoch_keys, fill
from edge.audit.journal import FileJournal
from edge.cache.guard import MappedReplayGuard, read_boot_id
from edge.cache.store import LmdbStore
from edge.capture.reader import FrameReader
from edge.config import Limits
from edge.hotpath.keys import DerivedKeys, KeyRing
from edge.hotpath.trust import Trust
from edge.hotpath.wallet import derive_wallet_keys, make_presentation
from edge.imaging import DEFAULT_LIMITS
from edge.metrics import NodeMetrics
from edge.node_key import NodeKey, load_or_create_node_key
from edge.pipeline.ids import RandomIds
from edge.pipeline.verify import Verifier
from edge.pipeline.workers import WorkerPool
from edge.protocol.journal import VerificationRecord
from edge.protocol.kh1 import SUITE_COMPACT, key_epoch_of, step_at
from edge.protocol.records import Disclosure, GateRecord, ScenePolicy, Words
from edge.watching import Watching
from edge.web.callers import Gates
from edge.web.server import Server

NAME = "metrics-cost"
CREDENTIALS, AT_ONCE, ROUNDS = 4_000, 32, 9
GATE = GateRecord(gate_id="bench", scenes=(SCENE,), secret_hash=bytes(32))
_Seen = list[tuple[Sequence[VerificationRecord], Mapping[str, float]]]


class _Kept:
    """Keeps what is observed."""

    def __init__(self) -> None:
        self.seen: _Seen = []

    def observed(self, record: VerificationRecord, timings_ms: Mapping[str, float]) -> None:
        """Keep one record."""
        self.observed_all((record,), timings_ms)

    def observed_all(
        self, records: Sequence[VerificationRecord], timings_ms: Mapping[str, float]
    ) -> None:
        """Keep records and their timings."""
        self.seen.append((records, timings_ms))


def run(small: bool) -> Result:
    """Measure; small cuts credentials and rounds."""
    # Fewer answers would mostly measure the one page that is made of them.
    count, rounds = (2_000, 3) if small else (CREDENTIALS, ROUNDS)
    with tempfile.TemporaryDirectory() as folder:
        kept, theirs = asyncio.run(_verify(Path(folder), count, rounds))
    ours = [_observe(kept.seen) for _ in range(rounds)]
    ours_us, theirs_us = (median(times) * 1e6 for times in (ours, theirs))
    return Result(
        measure=NAME, ours=round(ours_us, 3), theirs=round(theirs_us, 3), unit="us",
        ratio=round(ours_us / theirs_us, 4), n=count * rounds,
        against="CPU of a code-only verification, body to response, without sockets and metrics",
        settings={"credentials": count, "at_once": AT_ONCE, "rounds": rounds},
    )


def _observe(seen: _Seen) -> float:
    """Give CPU seconds an answer."""

    async def note(_: str, __: dict[str, str | int | float]) -> None:
        """Fail: no signal is due."""
        raise RuntimeError("an accepted code raised a signal")

    metrics = NodeMetrics("bench", lambda: {SCENE})
    watching = Watching(note, metrics.signal)
    start = time.process_time()
    for records, timings_ms in seen:
        metrics.observed_all(records, timings_ms)
        for record in records:
            watching.saw(record, timings_ms)
    metrics.page()
    return (time.process_time() - start) / sum(len(records) for records, _ in seen)


async def _verify(folder: Path, count: int, rounds: int) -> tuple[_Kept, list[float]]:
    """Verify every credential once a round; give what was observed and CPU seconds a call."""
    fill(folder, count)
    key, kept = load_or_create_node_key(folder / "node.key"), _Kept()
    verifier, close = _verifier(folder, key, kept)
    unused: Any = None  # only verifications are asked for
    handlers = Server(
        verifier=verifier, decider=unused, looker=unused, shift=unused,
        callers=Gates(lambda: {"bench": GATE}), status=unused, metrics=NodeMetrics("bench"),
        limits=Limits(gate_rate_per_s=1e6, gate_burst=1_000_000), version="bench")
    epoch = DerivedKeys(epoch_keys(key_epoch_of(step_at(time.time()))))
    wallets = [derive_wallet_keys(epoch, SUITE_COMPACT, credential_id(n)) for n in range(count)]
    times: list[float] = []
    first = step_at(time.time())
    try:
        for turn in range(rounds):
            # A later step each round, so that no code is a replay.
            bodies = _bodies(turn, [make_presentation(keys, first + turn) for keys in wallets])
            start = time.process_time()
            await asyncio.gather(*(_some(handlers, bodies[n::AT_ONCE]) for n in range(AT_ONCE)))
            times.append((time.process_time() - start) / count)
    finally:
        close()
    return kept, times


def _bodies(turn: int, codes: list[str]) -> list[bytes]:
    return [
        f'{{"scene":"{SCENE}","request_id":"{turn}-{n}","presentation":"{code}"}}'.encode()
        for n, code in enumerate(codes)
    ]


async def _some(handlers: Server, bodies: list[bytes]) -> None:
    for body in bodies:
        responded = asyncio.get_running_loop().create_future()
        handlers.quick(GATE, body, responded.set_result)
        assert b'"decision":"accept"' in await responded


def _verifier(folder: Path, key: NodeKey, kept: _Kept) -> tuple[Verifier, Any]:
    day, now = key_epoch_of(step_at(time.time())), int(time.time())
    policy = ScenePolicy(
        scene=SCENE, version=1, title=Words("", ""), accepts=("resident_id",), face="off",
        disclose=(Disclosure("name", "name"),), steps_back=9, steps_ahead=2 * ROUNDS)
    trust = Trust(
        node_id="bench", log="bench", policies={SCENE: policy}, gates={"bench": GATE},
        keys=KeyRing.derive(epoch_keys(d) for d in (day - 1, day, day + 1)), mode="online",
        keys_as_of_s=now, status_as_of_s=now)
    store = LmdbStore(folder / "cache", key.derive)
    guard = MappedReplayGuard(folder / "guard", key.derive, boot_id=read_boot_id(), restart_floor=0)
    journal, pool = FileJournal(folder / "journal", key.signing), WorkerPool("bench", 1, 1)
    unused: Any = None  # a scene without a face never asks the engine
    verifier = Verifier(
        trust=lambda: trust, clock=BelievedClock(), cache=store, guard=guard,
        journal=journal, reader=FrameReader(), face=unused,
        rates=unused, code_pool=pool, face_pool=pool,
        observer=kept, new_id=RandomIds(), monotonic=time.monotonic, image_limits=DEFAULT_LIMITS,
        answers_kept_s=600.0)

    def _close() -> None:
        for part in (pool, journal, guard, store):
            part.close()

    return verifier, _close
