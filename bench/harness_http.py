"""The servers that `http-code-only` puts under load: the real node's surface, and a bare handler.

- `python -m bench.harness_http ours|theirs|durable|mixed ARGUMENT` prints its port and serves until
  ended: the node without faces, the bare handler, the same with a durable record, the node with
  faces.
- Ours is everything of a node but sync: store, guard, journal, metrics, web.
"""

import asyncio
import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import msgspec
import simplejpeg
import uvloop
from aiohttp import web

from bench.harness_clock import BelievedClock
from edge.access.listening import Connections, Wire, bind, serve
from edge.access.tls import Tls
from edge.audit.journal import FileJournal
from edge.cache.guard import MappedReplayGuard, read_boot_id
from edge.cache.store import LmdbStore
from edge.capture.reader import FrameReader
from edge.collector import calm_collector
from edge.config import Limits
from edge.front import NODE_NAME
from edge.hotpath.keys import KeyRing
from edge.hotpath.presentation import warm_codes
from edge.hotpath.trust import Trust
from edge.imaging import DEFAULT_LIMITS
from edge.metrics import NodeMetrics
from edge.models.convert import ensure_default_pack
from edge.models.engine import FaceEngine, ReferenceDraft
from edge.node_key import NodeKey, load_or_create_node_key
from edge.pipeline.ids import RandomIds
from edge.pipeline.thresholds import SceneRates
from edge.pipeline.verify import Verifier
from edge.pipeline.workers import FACE_NICENESS, WorkerPool
from edge.protocol.feed import PutCredential, PutReference
from edge.protocol.kh1 import key_epoch_of, step_at
from edge.protocol.records import (
    CredentialRecord,
    Disclosure,
    EpochKeys,
    GateRecord,
    ReferenceRecord,
    ScenePolicy,
    Words,
)
from edge.rates import NodeRates
from edge.ui.pages import Pages
from edge.web.bodies import VerificationJson
from edge.web.callers import Gates
from edge.web.server import Server
from kanhe.demo.people import PEOPLE, load_portrait

GATE_SECRET = bytes(range(32))
SCENE, FACE_SCENE = "bench.code", "bench.face"
GATES = tuple(f"bench{number}" for number in range(8))
ANSWER_BYTES, RECORD_BYTES = 690, 500
MIXED_DEADLINE_S = 1.0
PACKS = Path("var/packs")


def epoch_keys(day: int) -> EpochKeys:
    """Give the bench's keys of a day; both processes derive the same."""
    return EpochKeys(key_epoch=day, master=hashlib.sha256(b"m%d" % day).digest(),
                     seal_private=hashlib.sha256(b"s%d" % day).digest())


def credential_id(number: int) -> bytes:
    """Give the id of the bench's credential with a number."""
    return hashlib.sha256(b"c%d" % number).digest()[:16]


def holder_id(number: int) -> bytes:
    """Give the holder of a credential: one of the few persons whose pictures there are."""
    return bytes(15) + bytes([number % len(PEOPLE)])


def fill(folder: Path, count: int) -> None:
    """Put credentials into a store."""
    key = load_or_create_node_key(folder / "node.key")
    store = LmdbStore(folder / "cache", key.derive)
    changes = [
        PutCredential(CredentialRecord(
            credential_id=credential_id(n), holder_id=holder_id(n), type="resident_id",
            valid_from_s=0, valid_until_s=None, updated_s=1,
            fields={"name": "测试人", "id_number": "330203199002110244", "address": "x" * 60},
        ))
        for n in range(count)
    ]
    for first in range(0, count, 5_000):
        store.apply(changes[first : first + 5_000], first, {})
    store.close()


Surface = tuple[web.Application, Connections | None]


def fill_faces(folder: Path) -> None:
    """Put the references of all holders into a filled store."""
    engine = FaceEngine(ensure_default_pack(PACKS))
    engine.warm()
    store = LmdbStore(folder / "cache", load_or_create_node_key(folder / "node.key").derive)
    changes = []
    for number, person in enumerate(PEOPLE):
        draft = engine.make_reference_template(simplejpeg.encode_jpeg(load_portrait(person), 95))
        assert isinstance(draft, ReferenceDraft)
        changes.append(PutReference(ReferenceRecord(
            holder_id=holder_id(number), pack=engine.pack_id, template=draft.template,
            created_s=0)))
    store.apply(changes, 1_000_000, {})
    store.close()


def _face_parts(
    key: NodeKey, store: LmdbStore, trust: Callable[[], Trust]
) -> tuple[FaceEngine, SceneRates]:
    """Build what a node needs for faces, warm."""
    folder = ensure_default_pack(PACKS)
    engine = FaceEngine(folder)
    engine.warm()
    store.warm(engine.pack_id, engine.manifest.dimensions)

    async def note(_: str, __: dict[str, str | int | float]) -> None:
        """Take no note: the journal's records are the verifications alone."""

    rates = NodeRates(folder, engine.manifest, key.sign_public, store,
                      policies=lambda: trust().policies, note=note, now=time.time)
    return engine, rates.scenes


class NodeParts(NamedTuple):
    """What a node's surface is made of."""

    server: Server
    verifier: Verifier
    trust: Trust
    store: LmdbStore
    guard: MappedReplayGuard
    journal: FileJournal
    metrics: NodeMetrics
    limits: Limits


def node_surface(
    folder: Path, *, faces: bool = False, store: LmdbStore | None = None
) -> Surface:
    """Build the node's HTTP surface on a filled folder, or on its store that is open already."""
    server = node_parts(folder, faces=faces, store=store).server
    return server.application(Pages(("edge.web",), NODE_NAME)), server.connections()


def node_parts(
    folder: Path, *, faces: bool = False, store: LmdbStore | None = None
) -> NodeParts:
    """Build the parts of a node; see `node_surface`."""
    key = load_or_create_node_key(folder / "node.key")
    day = key_epoch_of(step_at(time.time()))
    policy = ScenePolicy(
        scene=SCENE, version=1, title=Words("", ""), accepts=("resident_id",), face="off",
        disclose=(Disclosure("name", "name"), Disclosure("id_number", "id_number")),
    )
    face = msgspec.structs.replace(
        policy, scene=FACE_SCENE, face="required", pack_override="a benchmark")
    gates = {
        name: GateRecord(gate_id=name, scenes=(SCENE, FACE_SCENE),
                         secret_hash=hashlib.sha256(GATE_SECRET).digest())
        for name in ("bench", *GATES)
    }
    now = int(time.time())
    trust = Trust(
        node_id="bench", log="bench", policies={SCENE: policy, FACE_SCENE: face},
        gates=gates,
        keys=KeyRing.derive(epoch_keys(d) for d in (day - 1, day, day + 1)), mode="online",
        keys_as_of_s=now, status_as_of_s=now,
    )
    store = store or LmdbStore(folder / "cache", key.derive)
    # As the node does before it is ready: compile, and load what a first call loads.
    warm_codes()
    metrics = NodeMetrics("bench")
    code_pool = WorkerPool("bench-code", 1, 64)
    face_pool = WorkerPool("bench-face", 2, 32, FACE_NICENESS)
    unused: Any = None  # a scene without a face never asks the engine
    engine, rates = _face_parts(key, store, lambda: trust) if faces else (unused, unused)
    guard = MappedReplayGuard(folder / "guard", key.derive, boot_id=read_boot_id(), restart_floor=0)
    journal = FileJournal(folder / "journal", key.signing)
    verifier = Verifier(
        trust=lambda: trust, clock=BelievedClock(), cache=store, guard=guard, journal=journal,
        reader=FrameReader(), face=engine, rates=rates,
        code_pool=code_pool, face_pool=face_pool, observer=metrics,
        new_id=RandomIds(), monotonic=time.monotonic,
        image_limits=DEFAULT_LIMITS, answers_kept_s=600.0,
    )
    # Few gates play all gates of a city here, so their rate isn't what is measured.
    limits = Limits(gate_rate_per_s=1e6, gate_burst=1_000_000,
                    deadline_s=MIXED_DEADLINE_S if faces else Limits().deadline_s)
    server = Server(
        verifier=verifier, decider=unused, looker=unused, shift=unused,
        callers=Gates(lambda: trust.gates), status=unused, metrics=metrics, limits=limits,
        version="bench",
    )
    return NodeParts(server, verifier, trust, store, guard, journal, metrics, limits)


class GroupCommit:
    """What a bare handler would do to make a record durable: one flush for all that wait."""

    def __init__(self, path: Path) -> None:
        """Begin the file and its thread."""
        self._file = path.open("ab", buffering=0)
        self._queue: SimpleQueue[asyncio.Future[None]] = SimpleQueue()
        self._record = b"x" * RECORD_BYTES
        threading.Thread(target=self._run, daemon=True).start()

    def append(self) -> "asyncio.Future[None]":
        """Append a record; done when it is durable."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put(future)
        return future

    def _run(self) -> None:
        while True:
            batch = [self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get())
            self._file.write(self._record * len(batch))
            os.fdatasync(self._file.fileno())
            batch[0].get_loop().call_soon_threadsafe(_resolve, batch)


def _resolve(batch: "list[asyncio.Future[None]]") -> None:
    for future in batch:
        if not future.done():
            future.set_result(None)


def bare_surface(answer_bytes: int, folder: Path | None = None) -> Surface:
    """Build a handler that reads, decodes and answers JSON of the same size.

    Args:
        answer_bytes: Of the answer.
        folder: Where it makes a record of the same size durable first; None = it doesn't.
    """
    commit = GroupCommit(folder / "bare.log") if folder is not None else None
    decode = msgspec.json.Decoder(VerificationJson).decode
    encode: Callable[[object], bytes] = msgspec.json.Encoder().encode
    filler = "x" * (answer_bytes - 40)

    async def handle(request: web.Request) -> web.Response:
        """Decode, commit if there is a journal, encode."""
        body = decode(await request.read())
        if commit is not None:
            await commit.append()
        return web.Response(body=encode({"id": body.request_id, "filler": filler}),
                            content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/verifications", handle)
    return app, None


async def serve_surface(surface: Surface) -> None:
    """Serve on a free port of loopback, and print it."""
    app, connections = surface
    listening = bind("127.0.0.1", 0, 1)
    wire = Wire(Tls(), "127.0.0.1", Path(), insecure=False)
    calm_collector()
    await serve(
        app, listening, wire, ready=lambda url: print(url.rpartition(":")[2], flush=True),
        stop=asyncio.Event(), shutdown_s=1.0, connections=connections,
    )


def main(which: str, argument: str) -> None:
    """Serve one of the surfaces."""
    if which in ("ours", "mixed"):
        surface = node_surface(Path(argument), faces=which == "mixed")
    else:
        surface = bare_surface(ANSWER_BYTES, Path(argument) if which == "durable" else None)
    uvloop.run(serve_surface(surface))


if __name__ == "__main__":
    main(*sys.argv[1:3])
