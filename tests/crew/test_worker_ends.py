"""A process of a node that is killed, stopped or deaf: nothing is lost, nothing left behind."""

import asyncio
import json
import os
import signal
import time
from collections import Counter

from edge.audit.verify import verify_journal
from edge.protocol.kh1 import step_at
from tests.crew.site import PROCESSES, Gate, children, gone
from tests.fakes.waiting import until

ANSWERED_S_MAX = 10.0
ENDED_S_MAX = 15.0
STOPPED_S_MAX = 8.0
"""Less than `DRAIN_S`, which a connection that waits for nothing must not use up."""


class Crowd:
    """Gates that show codes without a pause, and connect again when a process dies."""

    def __init__(self, site, gates=24):
        self.site, self.gates = site, gates
        self.accepted, self.answers, self.broken = Counter(), {}, 0
        self._wallets = iter(())

    def _next(self):
        step = step_at(time.time())
        if step != getattr(self, "_step", None):
            self._step, self._wallets = step, iter(self.site.crowd)
        wallet = next(self._wallets, None)
        return None if wallet is None else (wallet.code(step), f"{step}-{id(wallet)}")

    def has_accepted(self, count):
        """Give what tells whether so many codes were accepted by now."""
        async def has():
            return sum(self.accepted.values()) >= count

        return has

    async def run(self, stop):
        await asyncio.gather(*(self._one(stop) for _ in range(self.gates)))

    async def _one(self, stop):
        gate = None
        while not stop.is_set():
            call = self._next()
            if call is None:
                await asyncio.sleep(0.02)
                continue
            try:
                if gate is None:
                    gate = await Gate(self.site.node_url, self.site.gates[1]).open()
                status, _, body = await gate.show(*call)
                if status == 200:
                    answer = json.loads(body)
                    self.answers[answer["receipt"]["index"]] = answer["receipt"]["leaf"]
                    self.accepted[call[0]] += answer["decision"] == "accept"
            except (OSError, asyncio.IncompleteReadError):
                self.broken += 1
                if gate is not None:
                    gate.close()
                gate = None
                await asyncio.sleep(0.01)


def held(site) -> dict[int, str]:
    """Give the leaves of all records of the node's journal, by index."""
    from edge.audit.segment import segment_name, walk_frames
    from edge.audit.segments import segment_firsts
    from edge.hotpath.merkle import hash_leaf

    folder, found = site.folder / "edge" / "journal", {}
    for first in segment_firsts(folder):
        datas = [data for _, data in walk_frames((folder / segment_name(first)).read_bytes())
                 if data is not None]
        found |= {first + at: hash_leaf(data).hex() for at, data in enumerate(datas)}
    return found


async def test_a_worker_killed_under_load_loses_nothing_and_is_started_again(site):
    crowd, stop = Crowd(site), asyncio.Event()
    running = asyncio.create_task(crowd.run(stop))
    killed = set()
    for _ in range(4):
        await asyncio.sleep(1.0)
        victim = children(site.node.pid)[-1]
        os.kill(victim, signal.SIGKILL)
        killed.add(victim)

        async def back(victim=victim):
            now = children(site.node.pid)
            return victim not in now and len(now) == PROCESSES - 1

        await until(back)
    await site.all_serving()
    await until(crowd.has_accepted(501))
    stop.set()
    await running
    assert (await site.status())["processes"]["restarts"] == len(killed) == 4
    assert crowd.broken > 0
    assert max(crowd.accepted.values()) == 1
    assert await site.gate_at_each()
    site.node.stop()
    leaves = held(site)
    assert all(leaves[index] == leaf for index, leaf in crowd.answers.items())
    report = verify_journal(site.folder / "edge" / "journal")
    assert report.whole, report.problems


async def test_a_killed_node_ends_its_workers_and_comes_back_with_one_whole_log(site):
    for _ in range(3):
        crowd, stop = Crowd(site), asyncio.Event()
        running = asyncio.create_task(crowd.run(stop))
        await asyncio.sleep(1.5)
        await until(crowd.has_accepted(101))
        workers = children(site.node.pid)
        assert len(workers) == PROCESSES - 1
        url = site.node_url
        os.kill(site.node.pid, signal.SIGKILL)
        site.node.wait()

        async def ended(workers=workers):
            return all(gone(pid) for pid in workers)

        await until(ended, ENDED_S_MAX)
        stop.set()
        await running
        site.run_node()
        # Nobody of before is left at the port, so it is the same one.
        assert site.node_url == url
        await site.all_serving()
        assert len(crowd.answers) > 100
        leaves = held(site)
        assert all(leaves[index] == leaf for index, leaf in crowd.answers.items())
        assert max(crowd.accepted.values()) == 1
    site.node.stop()
    report = verify_journal(site.folder / "edge" / "journal")
    assert report.whole, report.problems


async def test_a_stopped_node_answers_what_is_under_way_and_leaves_no_process(site):
    crowd, stop = Crowd(site), asyncio.Event()
    running = asyncio.create_task(crowd.run(stop))
    await asyncio.sleep(1.0)
    await until(crowd.has_accepted(101))
    workers = children(site.node.pid)
    begun = time.monotonic()
    await asyncio.to_thread(site.node.stop)
    assert time.monotonic() - begun < STOPPED_S_MAX
    stop.set()
    await running
    assert all(gone(pid) for pid in workers)
    leaves = held(site)
    assert all(leaves[index] == leaf for index, leaf in crowd.answers.items())
    assert not (site.folder / "edge" / "workers.sock").exists()


async def test_a_worker_that_cant_hear_its_keeper_refuses(site):
    gates = await site.gate_at_each()
    worker = next(pid for pid in gates if pid != site.node.pid)
    code = site.crowd[0].code(await site.fresh_step())
    os.kill(site.node.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(3.6)
        async with asyncio.timeout(ANSWERED_S_MAX):
            status, headers, body = await gates[worker].show(code)
        assert status == 503, body
        assert "retry-after" in headers
    finally:
        os.kill(site.node.pid, signal.SIGCONT)

    async def answers():
        return (await gates[worker].show("KH1:BB8"))[0] == 200

    await until(answers)
