"""A node that a test kills: follows, writes its journal, ships; says what became durable.

Run as `python -m tests.sync.victim FOLDER URL NOW`; it must be enrolled already. Each line
it prints is the index and leaf of a record that was promised.
"""

import asyncio
import sys
from pathlib import Path

from edge.audit.journal import FileJournal, JournalOptions
from edge.cache.store import LmdbStore
from edge.node_key import load_or_create_node_key
from edge.protocol.journal import EventRecord
from edge.sync.client import CentralClient
from edge.sync.follower import Follower
from edge.sync.options import FollowerOptions
from edge.sync.shipper import Shipper, ShipperOptions
from edge.sync.state import load_enrolment


async def live(folder: Path, url: str, now_s: float) -> None:
    key = load_or_create_node_key(folder / "node.key")
    store = LmdbStore(folder / "store", key.derive)
    journal = FileJournal(
        folder / "journal", key.signing, JournalOptions(segment_bytes=4_096), lambda: now_s)
    enrolment = load_enrolment(store)
    assert enrolment is not None
    client = CentralClient(url, token=enrolment.token)
    follower = Follower(
        central=client, store=store, seal_private=key.sealing, publish=lambda _: None,
        now=lambda: now_s, options=FollowerOptions(retry_first_s=0.01, retry_max_s=0.05))
    shipper = Shipper(central=client, journal=journal, options=ShipperOptions(
        records_max=5, retry_first_s=0.01, retry_max_s=0.05))
    await follower.start()
    await shipper.start()
    for number in range(1_000_000):
        receipt = await journal.append(
            EventRecord(at_ms=int(now_s * 1000) + number, event="tick", detail={}))
        print(receipt.index, receipt.leaf, flush=True)
        shipper.wake()
        await asyncio.sleep(0.001)


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])))
