"""The honest fake of the central platform: node-facing calls over real HTTP on loopback.

- Stories are verbs: `simulator.revoke("ma")`, `simulator.rotate_root()`, `go_down()`;
  dishonesty is a verb too: `sign_with_wrong_key()`, `replay_old_batch()`.
- Real signatures, real sealing, real sockets; state in memory.
- It checks journal uploads as the real platform must: compared, never doubled.
"""

import asyncio
import base64
import hashlib
from collections.abc import Callable

from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.hotpath.checkpoint import Checkpoint, CheckpointAnswer, countersign
from edge.hotpath.merkle import Frontier, hash_leaf
from edge.protocol.feed import (
    CHANGES_MAX,
    Change,
    EpochsChanged,
    PutCredential,
    PutGate,
    PutPolicy,
    PutReference,
    PutStatus,
)
from edge.protocol.journal import JournalUpload
from edge.protocol.records import (
    CredentialRecord,
    EpochKeys,
    GateRecord,
    ReferenceRecord,
    ScenePolicy,
    Status,
    StatusRecord,
)
from tests.fakes.central_http import application
from tests.fakes.city import id_of
from tests.fakes.feed_forge import LIFE_S, Forge, code_for

Answerer = Callable[[web.Request, bytes], bytes]


class SimulatedNode:
    """What the platform knows of one node."""

    def __init__(self, node_id: str, token: str, seal_public: bytes) -> None:
        self.node_id = node_id
        self.token = token
        self.seal_public = seal_public
        self.revoked = False
        self.keys_version = 1
        self.journal: list[bytes] = []
        self.journal_log = ""


class CentralSimulator:
    """A central platform in memory. Use it as `async with CentralSimulator(now) as central`."""

    def __init__(self, now: Callable[[], float], *, threshold: int = 1) -> None:
        self.now = now
        self.forge = Forge(int(now()), threshold=threshold)
        self.log: list[Change] = []
        self.epochs: dict[int, EpochKeys] = {}
        self.nodes: dict[str, SimulatedNode] = {}
        self.codes: set[str] = set()
        self.asked: list[str] = []
        self.batch_max = CHANGES_MAX
        self.clock_error_s = 0.0
        self.tamper: Answerer | None = None
        self.lose_answers = 0
        self.witness = Ed25519PrivateKey.generate()
        self._changed = asyncio.Condition()
        self._server: TestServer | None = None
        self._port: int | None = None

    # --- where it is

    async def __aenter__(self) -> "CentralSimulator":
        await self.come_back()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.go_down()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def go_down(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            async with self._changed:
                self._changed.notify_all()
            await server.close()

    async def come_back(self) -> None:
        assert self._server is None
        self._server = TestServer(application(self), host="127.0.0.1", port=self._port)
        await self._server.start_server()
        self._port = self._server.port

    # --- what an administrator does

    def new_code(self) -> str:
        self.codes.add(code := code_for(self.forge.roots[0], f"CODE{len(self.codes)}"))
        return code

    async def publish(self, *changes: Change) -> None:
        self.log.extend(changes)
        async with self._changed:
            self._changed.notify_all()

    async def grant(self, *credentials: CredentialRecord) -> None:
        await self.publish(*(PutCredential(credential) for credential in credentials))

    async def enrol_face(self, *references: ReferenceRecord) -> None:
        await self.publish(*(PutReference(reference) for reference in references))

    async def set_status(self, name: str, status: Status) -> None:
        await self.publish(PutStatus(StatusRecord(
            credential_id=id_of(name), status=status, changed_s=int(self.now()))))

    async def revoke(self, name: str) -> None:
        await self.set_status(name, Status.REVOKED)

    async def suspend(self, name: str) -> None:
        await self.set_status(name, Status.SUSPENDED)

    async def restore(self, name: str) -> None:
        await self.set_status(name, Status.VALID)

    async def set_policy(self, *policies: ScenePolicy) -> None:
        await self.publish(*(PutPolicy(policy) for policy in policies))

    async def register_gate(self, *gates: GateRecord) -> None:
        await self.publish(*(PutGate(gate) for gate in gates))

    async def make_epochs(self, *epochs: EpochKeys) -> None:
        self.epochs |= {keys.key_epoch: keys for keys in epochs}
        for node in self.nodes.values():
            node.keys_version += 1
        await self.publish(EpochsChanged(max(self.epochs)))

    def retire_epochs(self, *days: int) -> None:
        for day in days:
            del self.epochs[day]

    def rotate_root(self, *, keep: tuple[str, ...] = (), **differently: object) -> None:
        self.forge.now_s = int(self.now())
        self.forge.rotate_root(keep=keep, **differently)

    def revoke_node(self, node_id: str) -> None:
        self.nodes[node_id].revoked = True

    # --- what an attacker, or a fault, does

    def be_honest(self) -> None:
        self.tamper = None

    def sign_with_wrong_key(self) -> None:
        """From now on somebody else signs what is said of changes."""
        stranger = Ed25519PrivateKey.generate()
        self.tamper = self._on("/v1/feed", lambda cursor: self.batch(cursor, [stranger]))

    def replay_old_batch(self) -> None:
        """Answer with what is true now, whatever comes and whatever is asked."""
        recorded = self.batch(0)
        self.tamper = self._on("/v1/feed", lambda _: recorded)

    def freeze(self) -> None:
        """Answer every poll with the empty batch of now, as if nothing happened."""
        recorded = self.batch(len(self.log))
        self.tamper = self._on("/v1/feed", lambda _: recorded)

    def deliver_keys_of(self, node_id: str) -> None:
        """Hand everybody the keys of one node."""
        self.tamper = self._on("/v1/keys", lambda _: self.delivery(self.nodes[node_id]))

    def flip_a_bit(self) -> None:
        def flipped(request: web.Request, honest: bytes) -> bytes:
            middle = len(honest) // 2
            return honest[:middle] + bytes((honest[middle] ^ 1,)) + honest[middle + 1:]

        self.tamper = flipped

    def fail_once(self) -> None:
        """Answer the next question with an error of the platform's own."""
        def failing(request: web.Request, honest: bytes) -> bytes:
            self.be_honest()
            raise web.HTTPServiceUnavailable

        self.tamper = failing

    def _on(self, path: str, answer: Callable[[int], bytes]) -> Answerer:
        def tampered(request: web.Request, honest: bytes) -> bytes:
            if request.path != path:
                return honest
            return answer(int(request.query.get("cursor", "0")))

        return tampered

    # --- what it says

    def batch(self, first: int, signers: list[Ed25519PrivateKey] | None = None) -> bytes:
        now_s = int(self.now())
        return self.forge.batch(
            first, *self.log[first:first + self.batch_max], head=len(self.log),
            issued_s=now_s, expires_s=now_s + LIFE_S, signers=signers)

    def delivery(self, node: SimulatedNode) -> bytes:
        now_s = int(self.now())
        return self.forge.delivery(
            node.node_id, node.seal_public, *self.epochs.values(), version=node.keys_version,
            issued_s=now_s, expires_s=now_s + LIFE_S)

    async def wait_beyond(self, cursor: int, wait_s: float) -> None:
        """Wait until the log is longer than the cursor, or the server goes down."""
        async with self._changed:
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait_for(
                        lambda: len(self.log) > cursor or self._server is None)
            except TimeoutError:
                pass

    def enrolled(self, code: str, seal_public: str) -> SimulatedNode | None:
        if code not in self.codes:
            return None
        self.codes.remove(code)
        node_id = f"node-{len(self.nodes) + 1}"
        token = hashlib.sha256(code.encode()).hexdigest()
        node = SimulatedNode(node_id, token, base64.b64decode(seal_public))
        self.nodes[node_id] = node
        return node

    def node_of(self, authorization: str) -> SimulatedNode | None:
        for node in self.nodes.values():
            if authorization == f"Bearer {node.token}" and not node.revoked:
                return node
        return None

    def take_in(self, node: SimulatedNode, upload: JournalUpload) -> tuple[int, int]:
        """Compare and append; give status and `next`."""
        held = node.journal
        node.journal_log = node.journal_log or upload.log
        if upload.log != node.journal_log or upload.first > len(held):
            return 409, len(held)
        overlap = held[upload.first:]
        if list(upload.records[:len(overlap)]) != overlap[:len(upload.records)]:
            return 409, len(held)
        held.extend(upload.records[len(overlap):])
        return 200, len(held)

    def countersigned(self, node: SimulatedNode, point: Checkpoint) -> CheckpointAnswer:
        """Sign what is of the records held, refuse the rest."""
        tree = Frontier()
        for record in node.journal[:point.size]:
            tree.append(hash_leaf(record))
        held = len(node.journal)
        if tree.size < point.size or tree.root().hex() != point.root:
            return CheckpointAnswer(held=held)
        return CheckpointAnswer(
            held=held, countersignature=countersign(point, int(self.now() * 1000), self.witness))

    def lose_journal_after(self, node_id: str, index: int) -> None:
        """The platform was restored from a backup."""
        del self.nodes[node_id].journal[index:]

    def record_was_altered(self, node_id: str, index: int) -> None:
        self.nodes[node_id].journal[index] = b"another record"

