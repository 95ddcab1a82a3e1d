"""The node's gallery beside its store: filled once, in step, believed only if it is of it."""

import asyncio
import logging
from types import SimpleNamespace

import numpy as np
import pytest

from edge.cache.store import LmdbStore
from edge.identifying import NodeGallery
from edge.node_key import NodeKey
from edge.protocol.feed import DropReference, PutReference
from edge.protocol.records import ReferenceRecord
from tests.fakes.ports import PACK, template_of

KEY = NodeKey(bytes([7] * 32))
FACE = SimpleNamespace(pack_id=PACK, manifest=SimpleNamespace(dimensions=128))


def reference(number: int, purpose: str = "identification") -> PutReference:
    return PutReference(ReferenceRecord(
        holder_id=bytes([number] * 16), pack=PACK, created_s=0, purpose=purpose,
        template=template_of(number).tobytes()))


class Running:
    """Store and gallery of one run of a node."""

    def __init__(self, folder) -> None:
        self.store = LmdbStore(folder / "cache", KEY.derive, map_bytes=1 << 20)
        self.node = NodeGallery(folder, KEY.derive, self.store, FACE)

    async def stop(self) -> None:
        await self.node.close()
        self.store.close()

    def found(self, number: int) -> bytes:
        template = template_of(number)
        row = self.store.protect(template, PACK, self.store.generation)
        return self.node.gallery.search(np.asarray(row))[0][0][0]


@pytest.fixture
def filled(caplog):
    caplog.set_level(logging.INFO)

    def count() -> int:
        times = sum(record.message == "gallery.filled" for record in caplog.records)
        caplog.clear()
        return times

    return count


async def test_it_is_filled_from_the_store_and_then_follows_it(tmp_path, filled):
    run = Running(tmp_path)
    run.store.apply([reference(n) for n in range(1, 9)], 8, {})
    await asyncio.to_thread(run.node.take_up)
    assert filled() == 1
    run.store.apply([reference(9), reference(10, "verification"),
                     DropReference(bytes([1] * 16), PACK)], 11, {})
    run.node.settle(11)
    assert len(run.node.gallery) == 8
    assert run.found(9) == bytes([9] * 16)
    await run.stop()
    again = Running(tmp_path)
    await asyncio.to_thread(again.node.take_up)
    assert filled() == 0
    assert again.node.gallery.searches == 0  # what warms up is none
    assert again.found(9) == bytes([9] * 16)
    assert (again.node.gallery.searches, again.node.gallery.search_s > 0) == (1, True)
    await again.stop()


async def test_changes_it_missed_and_renewals_fill_it_anew(tmp_path, filled):
    run = Running(tmp_path)
    await asyncio.to_thread(run.node.take_up)
    run.store.apply([reference(n) for n in range(1, 9)], 8, {})
    run.node.settle(8)
    await run.stop()
    filled()
    store = LmdbStore(tmp_path / "cache", KEY.derive, map_bytes=1 << 20)
    store.apply([DropReference(bytes([1] * 16), PACK)], 9, {})
    store.close()
    missed = Running(tmp_path)
    await asyncio.to_thread(missed.node.take_up)
    assert (filled(), len(missed.node.gallery)) == (1, 7)
    await missed.stop()
    store = LmdbStore(tmp_path / "cache", KEY.derive, map_bytes=1 << 20)
    store.renew_references(lambda *_: None)
    store.close()
    renewed = Running(tmp_path)
    await asyncio.to_thread(renewed.node.take_up)
    assert filled() == 1
    assert renewed.found(5) == bytes([5] * 16)
    await renewed.stop()
