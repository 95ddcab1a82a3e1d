"""The servers that `http-code-only` puts under load: the real node's surface, and a bare handler.

- `python -m bench.harness_http ours|theirs FOLDER` prints its port and serves until ended.
- Ours is everything of a node but sync: store, guard, journal, metrics, web.
"""

import asyncio
import hashlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from aiohttp import web

from edge.audit.journal import FileJournal
from edge.cache.guard import LmdbReplayGuard, read_boot_id
from edge.cache.store import LmdbStore
from edge.capture.reader import FrameReader
from edge.clock import SystemClock
from edge.config import Limits
from edge.front import NODE_NAME
from edge.hotpath.keys import KeyRing
from edge.hotpath.trust import Trust
from edge.imaging import DEFAULT_LIMITS
from edge.metrics import NodeMetrics
from edge.node_key import load_or_create_node_key
from edge.pipeline.ids import RandomIds
from edge.pipeline.verify import Verifier
from edge.pipeline.workers import WorkerPool
from edge.protocol.feed import PutCredential
from edge.protocol.kh1 import key_epoch_of, step_at
from edge.protocol.records import (
    CredentialRecord,
    Disclosure,
    EpochKeys,
    GateRecord,
    ScenePolicy,
    Words,
)
from edge.ui.pages import Pages
from edge.web.bodies import VerificationJson
from edge.web.callers import Gates
from edge.web.server import Server

GATE_SECRET = bytes(range(32))
SCENE = "bench.code"


def epoch_keys(day: int) -> EpochKeys:
    """Give the bench's keys of a day; both processes derive the same."""
    return EpochKeys(key_epoch=day, master=hashlib.sha256(b"m%d" % day).digest(),
                     seal_private=hashlib.sha256(b"s%d" % day).digest())


def credential_id(number: int) -> bytes:
    """Give the id of the bench's credential with a number."""
    return hashlib.sha256(b"c%d" % number).digest()[:16]


def fill(folder: Path, count: int) -> None:
    """Put credentials into a store."""
    key = load_or_create_node_key(folder / "node.key")
    store = LmdbStore(folder / "cache", key.derive)
    changes = [
        PutCredential(CredentialRecord(
            credential_id=credential_id(n), holder_id=bytes(16), type="resident_id",
            valid_from_s=0, valid_until_s=None, updated_s=1,
            fields={"name": "测试人", "id_number": "330203199002110244", "address": "x" * 60},
        ))
        for n in range(count)
    ]
    for first in range(0, count, 5_000):
        store.apply(changes[first : first + 5_000], first, {})
    store.close()


def node_application(folder: Path, store: LmdbStore | None = None) -> web.Application:
    """Build the node's HTTP surface on a filled folder, or on its store that is open already."""
    key = load_or_create_node_key(folder / "node.key")
    day = key_epoch_of(step_at(time.time()))
    policy = ScenePolicy(
        scene=SCENE, version=1, title=Words("", ""), accepts=("resident_id",), face="off",
        disclose=(Disclosure("name", "name"), Disclosure("id_number", "id_number")),
    )
    gate = GateRecord(gate_id="bench", scenes=(SCENE,),
                      secret_hash=hashlib.sha256(GATE_SECRET).digest())
    now = int(time.time())
    trust = Trust(
        node_id="bench", log="bench", policies={SCENE: policy}, gates={"bench": gate},
        keys=KeyRing.derive(epoch_keys(d) for d in (day - 1, day, day + 1)), mode="online",
        keys_as_of_s=now, status_as_of_s=now,
    )
    store = store or LmdbStore(folder / "cache", key.derive)
    metrics = NodeMetrics("bench")
    pool = WorkerPool("bench", 1, 1)
    unused: Any = None  # a scene without a face never asks the engine
    verifier = Verifier(
        trust=lambda: trust, clock=SystemClock(lambda: 0.0), cache=store,
        guard=LmdbReplayGuard(folder / "guard", key.derive, boot_id=read_boot_id(),
                              restart_floor=0),
        journal=FileJournal(folder / "journal", key.signing), reader=FrameReader(), face=unused,
        rates=unused, code_pool=pool, face_pool=pool, observer=metrics,
        new_id=RandomIds(), monotonic=time.monotonic,
        image_limits=DEFAULT_LIMITS, answers_kept_s=600.0,
    )
    return Server(
        verifier=verifier, decider=unused, looker=unused, shift=unused,
        callers=Gates(lambda: trust.gates), status=unused, metrics=metrics, limits=Limits(),
        version="bench",
    ).application(Pages(("edge.web",), NODE_NAME))


def bare_application(answer_bytes: int) -> web.Application:
    """Build a handler that reads, decodes and answers JSON of the same size."""
    decode = msgspec.json.Decoder(VerificationJson).decode
    encode: Callable[[object], bytes] = msgspec.json.Encoder().encode
    filler = "x" * (answer_bytes - 40)

    async def handle(request: web.Request) -> web.Response:
        body = decode(await request.read())
        return web.Response(body=encode({"id": body.request_id, "filler": filler}),
                            content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/verifications", handle)
    return app


async def serve(app: web.Application) -> None:
    """Serve on a free port of loopback, and print it."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    which, argument = sys.argv[1:3]
    application = (
        node_application(Path(argument)) if which == "ours" else bare_application(int(argument))
    )
    uvloop.run(serve(application))
