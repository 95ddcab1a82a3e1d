"""Two nodes of two real processes each, and one Redis between them: a code is spent once by all."""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from edge.audit.verify import verify_journal
from edge.cache.site.names import SHARDS, Mark, SiteKey
from edge.protocol.kh1 import step_at
from kanhe.demo.processes import Service
from tests.crew.site import Site
from tests.fakes.loopback import free_port
from tests.fakes.waiting import until
from tests.site.redis_server import RedisServer, why_absent

PROCESSES = 2
SECRET = bytes(range(32))
PEOPLE_AT_ONCE = 40


class Desk(Site):
    """One of the site's nodes."""

    def __init__(self, city: Site, name: str, node: Service) -> None:
        self.__dict__.update(city.__dict__)
        self.name, self.node = name, node

    async def site_is(self, *states: str) -> dict:
        async def so() -> bool:
            return (await self.status())["site"]["state"] in states

        await until(so)
        return (await self.status())["site"]


class City(Site):
    """A city with two desks at one site."""

    def __init__(self, folder: Path, packs: Path, redis: RedisServer) -> None:
        super().__init__(folder, packs)
        key = folder / "site.key"
        key.write_bytes(SECRET)
        key.chmod(0o600)
        self.extra = (f'[redis]\nurl = "{redis.url}"\nkey_file = "{key}"\ndeadline_ms = 1000\n'
                      "[limits]\ngate_rate_per_s = 100000\n")
        self.west: Service | None = None

    async def desks(self) -> list[Desk]:
        code = (await self.admin("POST", "/v1/node-codes"))["code"]
        config = self.folder / "west.toml"
        config.write_text(
            f'data_dir = "{self.folder / "west"}"\npacks_dir = "{self._packs}"\n'
            f"[listen]\nport = {free_port()}\nport_tries = 1\n"
            f"[workers]\nprocesses = {PROCESSES}\n{self.extra}")
        done = await asyncio.to_thread(subprocess.run, [
            sys.executable, "-m", "kanhe", "edge", "enrol", "--config", str(config), "--url",
            self.central_url, "--code", code, "--name", "west"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        self.west = Service("west", ["edge", "run", "--config", str(config)],
                            self.folder / "west.log")
        await asyncio.to_thread(self.west.wait_ready)
        found = [Desk(self, "edge", self.node), Desk(self, "west", self.west)]
        for desk in found:
            async def knows(desk=desk) -> bool:
                return "processes" in await desk.status()

            await until(knows)
            await desk.all_serving()
        return found

    def stop(self) -> None:
        if self.west is not None:
            self.west.stop()
        super().stop()


def made_whole(redis: RedisServer) -> None:
    """Set the marks as nodes would have that joined long ago."""
    client, key = redis.client(), SiteKey(SECRET, "kanhe")
    run = client.info("server")["run_id"].encode()
    for shard in range(SHARDS):
        name = key.mark_name(shard)
        client.set(name, key.write_mark(name, Mark(run, step_at(time.time()) - 100)), ex=600)


@pytest.fixture
async def desks(tmp_path, face_pack_dir, monkeypatch):
    if missing := why_absent():
        pytest.skip(missing)
    redis = RedisServer()
    city = City(tmp_path, face_pack_dir.parent, redis)
    try:
        made_whole(redis)
        monkeypatch.setenv("KANHE_EDGE__LISTEN__PORT", str(free_port()))
        monkeypatch.setenv("KANHE_EDGE__LISTEN__PORT_TRIES", "1")
        await city.begin(PROCESSES, 120)
        monkeypatch.undo()
        desks = await city.desks()
        desks[0].redis = redis
        yield desks
    finally:
        city.stop()
        redis.remove()


async def shown_everywhere(gates, wallet, step):
    """Show one code at every process of both desks at once; give each desk's answers."""
    code = wallet.code(step)
    calls = await asyncio.gather(*(gate.show(code) for _, gate in gates))
    assert {status for status, _, _ in calls} == {200}, calls
    return [(name, json.loads(body)) for (name, _), (_, _, body) in zip(gates, calls, strict=True)]


def accepts(answers):
    """Give who accepted and how far that was said to reach."""
    assert {answer["reason"] for _, answer in answers} <= {"ok", "presentation_replayed"}, answers
    return [(name, answer["evidence"]["replay_scope"]) for name, answer in answers
            if answer["decision"] == "accept"]


async def test_workers_of_two_nodes_accept_a_code_once_and_go_on_alone_when_redis_dies(desks):
    east, west = desks
    redis = east.redis
    for desk in desks:
        await desk.site_is("shared")
    gates = [(desk.name, gate) for desk in desks
             for gate in (await desk.gate_at_each()).values()]
    assert len(gates) == 2 * PROCESSES
    crowd = iter(east.crowd)

    # Together: of all four processes one accepts, and says that the site knows.
    step = await east.fresh_step()
    for _ in range(PEOPLE_AT_ONCE):
        assert [scope for _, scope in accepts(
            await shown_everywhere(gates, next(crowd), step))] == ["site"]

    # Redis dies meanwhile: nobody claims twice, each desk accepts once, no call fails.
    step = await east.fresh_step()
    scopes = Counter()
    for number in range(PEOPLE_AT_ONCE):
        if number == 10:
            redis.kill()
        found = accepts(await shown_everywhere(gates, next(crowd), step))
        assert 1 <= len(found) == len({name for name, _ in found})
        assert [scope for _, scope in found].count("site") <= 1
        scopes.update(scope for _, scope in found)
    assert scopes["site"] >= 10
    assert scopes["node"] >= 2 * (PEOPLE_AT_ONCE - 15)
    for desk in desks:
        status = await desk.status()
        assert status["replay_scope"] == "node"
        assert status["site"]["state"] == "unreachable"

    # Spent at one desk alone, by either of its processes; back again, the other knows.
    step = await east.fresh_step(4.0)
    alone = [next(crowd) for _ in range(6)]
    for number, wallet in enumerate(alone):
        _, _, body = await gates[number % PROCESSES][1].show(wallet.code(step))
        answer = json.loads(body)
        assert (answer["decision"], answer["evidence"]["replay_scope"]) == ("accept", "node")
    assert (await east.status())["site"]["alone"] >= len(alone)
    redis.start()
    for desk in desks:
        site = await desk.site_is("began_anew")
        assert site["alone"] == 0
        assert site["merged"] >= len(alone) or desk is west
    refused = Counter()
    for number, wallet in enumerate(alone):
        _, _, body = await gates[PROCESSES + number % PROCESSES][1].show(wallet.code(step))
        answer = json.loads(body)
        assert answer["decision"] != "accept"
        refused[answer["reason"]] += 1
    assert set(refused) <= {"presentation_replayed", "step_expired"}
    for desk in desks:
        desk.node.stop()
        report = verify_journal(desk.folder / desk.name / "journal")
        assert report.whole, report.problems
