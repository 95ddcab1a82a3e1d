"""`revocation`: from a revocation made to the last of 500 nodes that refuse it, and its bytes.

- One platform in a process of its own; the nodes are clients of one process, each with its own
  identity and long poll, and each believes what comes by the node's own rules.
- Made: the moment before the administrator's call. Refused: the node has believed the change; its
  transaction and the look-up are the node's and come on top.
- Absolute; the 99th percentile over all nodes and rounds. Loopback only.
"""

import asyncio
import os
import time

import aiohttp
import msgspec
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bench.harness import Result
from bench.harness_city import FOLDER, Serving, serving
from edge.protocol.feed import PutStatus
from edge.sync.client import CentralClient, EnrolRequest
from edge.sync.rules import RootOfTrust, TrustedFeed
from edge.sync.snapshot import trust_timestamp
from kanhe.made_up_city import credential_id

NAME = "revocation"
NODES, SMALL_NODES = 500, 20
ROUNDS, SMALL_ROUNDS = 10, 2
HOLDERS = 2_000
WAIT_S = 50
SETTLE_S = 3.0
AT_ONCE = 20


class _Node:
    """One node's identity, belief and long poll."""

    def __init__(self, client: CentralClient, feed: TrustedFeed) -> None:
        self._client, self._feed = client, feed
        self.heard: dict[bytes, float] = {}
        self.body_bytes: list[int] = []

    async def follow(self) -> None:
        """Poll the feed for ever, and keep when each status was heard."""
        while True:
            data = await self._client.feed(self._feed.mark.cursor, WAIT_S)
            self._feed, batch = self._feed.changes(data, time.time())
            for change in batch.changes:
                if isinstance(change, PutStatus):
                    self.heard[change.status.credential_id] = time.perf_counter()
                    self.body_bytes.append(len(data))

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()


def run(small: bool) -> Result:
    """Revoke, a few times."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    count = SMALL_NODES if small else NODES
    with serving(HOLDERS, count) as central:
        return uvloop.run(_measure(central, SMALL_ROUNDS if small else ROUNDS))


async def _measure(central: Serving, rounds: int) -> Result:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(code: str) -> _Node:
        """Enrol one node, some at once."""
        async with room:
            return await _enrolled(central.url, code)

    nodes = await asyncio.gather(*(one(code) for code in central.codes))
    following = [asyncio.create_task(node.follow()) for node in nodes]
    token = (FOLDER / f"city-{HOLDERS}" / "keys" / "admin.token").read_text().strip()
    await asyncio.sleep(SETTLE_S)
    taken: list[float] = []
    missing, sizes = 0, []
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        for turn in range(rounds):
            chosen = credential_id(turn, 0)
            url = f"{central.url}/v1/credentials/{chosen.hex()}/status"
            # Suspended and not revoked, which is final: the city serves the next run too.
            await _set(session, url, "valid")
            await asyncio.sleep(SETTLE_S)
            for node in nodes:
                node.heard.clear()
                node.body_bytes.clear()
            made = time.perf_counter()
            await _set(session, url, "suspended")
            await asyncio.sleep(SETTLE_S)
            heard = [node.heard[chosen] - made for node in nodes if chosen in node.heard]
            missing += len(nodes) - len(heard)
            taken += heard
            sizes += [size for node in nodes for size in node.body_bytes]
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
    await asyncio.gather(*(node.close() for node in nodes))
    taken.sort()
    return Result(
        measure=NAME, ours=round(taken[int(len(taken) * 0.99)] * 1e3, 1) if taken else None,
        theirs=None, unit="ms", ratio=None, against="", n=len(taken),
        settings={"nodes": len(nodes), "rounds": rounds, "cores": os.cpu_count(),
                  "p50_ms": round(taken[len(taken) // 2] * 1e3, 1) if taken else None,
                  "body_bytes_max": max(sizes, default=None)},
        valid=missing == 0, why=f"{missing} nodes didn't hear of it" if missing else "",
    )


async def _set(session: aiohttp.ClientSession, url: str, status: str) -> None:
    async with session.post(url, json={"status": status, "reason": "bench"}) as answer:
        assert answer.status == 200, await answer.text()


async def _enrolled(url: str, code: str) -> _Node:
    asking = CentralClient(url)
    answer = await asking.enrol(EnrolRequest(
        code=code, name="bench",
        sign_public=Ed25519PrivateKey.generate().public_key().public_bytes_raw(),
        seal_public=X25519PrivateKey.generate().public_key().public_bytes_raw()))
    await asking.close()
    client = CentralClient(url, token=answer.token, call_s_max=60.0)
    base = RootOfTrust.pinned(answer.root, code=code, node_id=answer.node_id)
    named = await client.timestamp()
    assert named is not None
    now = time.time()
    trusted = trust_timestamp(base.feed(now), named, now)
    snapshot = trusted.snapshot(await client.snapshot(trusted.timestamp.length), now)
    base = msgspec.structs.replace(base, mark=snapshot.mark())
    return _Node(client, base.feed(now))
