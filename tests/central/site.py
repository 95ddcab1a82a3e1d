"""A node as far as the platform meets it: key, store, journal, follower and shipper."""

import asyncio
import hashlib

from edge.node_key import NodeKey
from edge.protocol.journal import EventRecord, encode_record
from edge.sync.client import CentralClient
from edge.sync.enrol import enrol
from edge.sync.follower import Follower
from edge.sync.identity import Identity
from edge.sync.options import FollowerOptions
from edge.sync.shipper import Shipper, ShipperOptions
from edge.sync.state import load_enrolment
from tests.fakes.memory_journal import MemoryJournal
from tests.fakes.memory_store import MemoryStore

QUICK = FollowerOptions(
    wait_s=30, retry_first_s=0.01, retry_max_s=0.05, refused_max_s=0.05, keys_retry_s=0.01,
    early_empty_s=0.01)
DEADLINE_S = 30.0


class Site:
    """One node with its data in memory; what it stores survives `stop`."""

    def __init__(self, url, seed=7, *, now):
        self.url, self.now = url, now
        self.key = NodeKey(bytes([seed] * 32))
        self.journal = MemoryJournal(hashlib.sha256(self.key.sign_public).hexdigest()[:32])
        self.store, self.trust = MemoryStore(), None

    async def enrol(self, code):
        client = CentralClient(self.url)
        try:
            return await enrol(
                client, self.store, code=code, name="site", sign_public=self.key.sign_public,
                seal_public=self.key.seal_public)
        finally:
            await client.close()

    @property
    def enrolment(self):
        return load_enrolment(self.store)

    async def start(self):
        self.client = CentralClient(self.url, token=self.enrolment.token)
        self.identity = Identity(
            self.client, self.enrolment, self.key.signing, self.key.sealing)
        self.follower = Follower(
            central=self.client, store=self.store, seal_private=self.key.sealing,
            publish=self._publish, now=self.now, options=QUICK, identity=self.identity)
        self.shipper = Shipper(
            central=self.client, journal=self.journal, options=ShipperOptions(
                poll_s=0.02, retry_first_s=0.01, retry_max_s=0.05, diverged_max_s=0.05))
        await self.follower.start()
        await self.shipper.start()

    async def stop(self):
        await self.shipper.stop()
        await self.follower.stop()
        await self.client.close()

    def write(self, count):
        for _ in range(count):
            self.journal.records.append(encode_record(
                EventRecord(at_ms=len(self.journal.records), event="e", detail={})))

    async def until(self, holds):
        async with asyncio.timeout(DEADLINE_S):
            while not holds():
                await asyncio.sleep(0.01)

    async def online(self):
        await self.until(lambda: self.trust is not None and self.trust.mode == "online")

    async def shipped(self):
        await self.until(lambda: self.shipper.status.acknowledged == self.journal.size
                         and self.shipper.status.state == "idle")

    def _publish(self, trust):
        self.trust = trust
