"""A snapshot takes the store's place under real workers: all see it, and no call fails by it."""

import asyncio
import json
import time
from collections import Counter

import pytest

from central import registry
from central.config import CentralConfig
from central.feed import BEGINS
from central.platform import Platform
from central.schema import Counter as CounterRow
from edge.protocol.kh1 import step_at
from tests.crew.site import Gate, Site
from tests.fakes.waiting import until

PROCESSES = 2
HANDS = 12
REVOKED = 5


class NoFace:
    pack_id = "dlib-v1"

    def make_reference_template(self, image: bytes):
        raise AssertionError("nobody is enrolled here")


@pytest.fixture
async def site(tmp_path, face_pack_dir):
    site = Site(tmp_path, face_pack_dir.parent)
    site.extra = "[limits]\ngate_rate_per_s = 100000\n"
    try:
        yield await site.begin(PROCESSES, 120)
    finally:
        site.stop()


async def revoke_and_forget_the_log(site) -> int:
    """Do, at the stopped platform, what a long outage would: changes, a snapshot, a shorter log."""
    platform = Platform(CentralConfig(data_dir=site.folder / "central"), NoFace())
    await platform.start()
    try:
        for credential in site.ids[:REVOKED]:
            await platform.database.run(
                lambda tx, id_=credential: registry.set_status(tx, id_, "revoked", "a test"))
        await platform.snapshots.make()

        def forget(tx) -> int:
            head = tx.head()
            row = tx.session.get(CounterRow, BEGINS)
            if row is None:
                tx.session.add(CounterRow(name=BEGINS, value=head))
            else:
                row.value = head
            return head

        return await platform.database.run(forget)
    finally:
        await platform.stop()


class Load:
    """Hands that show codes without a pause at every process, the same few again and again."""

    def __init__(self, site) -> None:
        self.site, self.statuses, self.words = site, Counter(), set()
        self.stop = asyncio.Event()

    async def run(self) -> None:
        await asyncio.gather(*(self._hand(number) for number in range(HANDS)))

    async def _hand(self, number: int) -> None:
        gate = await Gate(self.site.node_url, self.site.gates[number % 12]).open()
        turn = 0
        while not self.stop.is_set():
            wallet = self.site.crowd[REVOKED + (number + turn * HANDS) % 60]
            turn += 1
            status, _, body = await gate.show(wallet.code(step_at(time.time())))
            self.statuses[status] += 1
            if status != 200:
                self.words.add(body)
        gate.close()


async def test_workers_serve_on_from_the_new_store_and_no_call_fails_meanwhile(site):
    gates = await site.gate_at_each()
    before = (await site.status())["feed"]["cursor"]
    load = Load(site)
    running = asyncio.create_task(load.run())
    await asyncio.to_thread(site.central.stop)
    head = await revoke_and_forget_the_log(site)
    assert head > before
    at_once = load.statuses.total()
    await site.start_central()

    async def adopted() -> bool:
        # The status may tell of it a moment before the log does.
        return ((await site.status())["feed"]["cursor"] >= head
                and "snapshot.adopted" in (site.folder / "node.log").read_text())

    await until(adopted, 40.0)
    # Every process knows what only the new store holds, and goes on with what both hold.
    for number in range(REVOKED):
        for gate in gates.values():
            code = site.crowd[number].code(step_at(time.time()))
            assert json.loads((await gate.show(code))[2])["reason"] == "credential_revoked"
    step = await site.fresh_step()
    for gate, wallet in zip(gates.values(), site.crowd[-PROCESSES:], strict=True):
        assert json.loads((await gate.show(wallet.code(step)))[2])["reason"] == "ok"
    load.stop.set()
    await running
    assert load.statuses.total() > at_once + 200
    assert set(load.statuses) == {200}, (load.statuses, load.words)
    assert (await site.status())["processes"] == {
        "wanted": PROCESSES, "serving": PROCESSES, "restarts": 0}
