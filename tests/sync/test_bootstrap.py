"""A node begins with a snapshot of the real platform, in a process of its own."""

import asyncio
import time

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from central import nodes, registry
from central.app import application
from central.config import CentralConfig
from central.feed import BEGINS
from central.platform import Platform
from central.registry import NewCredential
from central.schema import Counter
from edge.bootstrap import SnapshotBuilder
from edge.cache.store import LmdbStore
from edge.node_key import NodeKey
from edge.protocol.feed import PutStatus
from edge.protocol.records import Status, StatusRecord
from edge.sync.client import CentralClient
from edge.sync.enrol import enrol
from edge.sync.envelope import Refusal, Rule
from edge.sync.follower import Follower
from edge.sync.lookup import Lookups
from edge.sync.options import FollowerOptions
from edge.sync.ports import BuildOrder
from edge.sync.state import load_base, load_enrolment
from kanhe.demo.city import credentials_of
from kanhe.demo.people import PEOPLE
from kanhe.made_up_city import credential_id, generate_city, holder_id

KEY = NodeKey(bytes(range(32)))
HOLDERS = 40
CHANGES = 4 * HOLDERS
DEADLINE_S = 30.0
REVOKED = credential_id(3, 1)
SOMEBODY = credential_id(5, 1)


class NoFace:
    pack_id = "dlib-v1"

    def make_reference_template(self, image: bytes):
        raise AssertionError("nobody is enrolled here")


class City:
    """The platform, and what stands between it and a node."""

    def __init__(self, platform: Platform, server: TestServer, faults: "Faults") -> None:
        self.platform, self.server, self.faults = platform, server, faults
        self.url = str(server.make_url("")).rstrip("/")


class Faults:
    """Cuts and swaps of parts on their way."""

    def __init__(self) -> None:
        self.cut_after: int | None = None
        self.swap = False
        self.asked: list[str] = []

    @web.middleware
    async def middleware(self, request: web.Request, handler):
        answer = await handler(request)
        if "/snapshot/parts/" not in request.path or not isinstance(answer, web.FileResponse):
            return answer
        self.asked.append(request.headers["Range"])
        data = answer._path.read_bytes()
        if self.swap:
            data = bytes((data[0] ^ 1,)) + data[1:]
        first = int(request.headers["Range"].removeprefix("bytes=").rstrip("-"))
        response = web.StreamResponse(status=206)
        response.content_length = len(data) - first
        await response.prepare(request)
        end = len(data) if self.cut_after is None else first + self.cut_after
        await response.write(data[first:end])
        if end < len(data):
            await asyncio.sleep(0.01)
            request.transport.abort()
        return response


@pytest.fixture
async def city(tmp_path):
    await generate_city(tmp_path / "central", HOLDERS, lambda *_: None)
    platform = Platform(CentralConfig(data_dir=tmp_path / "central"), NoFace())
    await platform.start()
    await platform.database.run(
        lambda tx: registry.set_status(tx, REVOKED.hex(), "revoked", "lost"))
    await platform.snapshots.make()
    faults = Faults()
    app = application(platform)
    app.middlewares.append(faults.middleware)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    yield City(platform, server, faults)
    await server.close()
    await platform.stop()


@pytest.fixture
async def node(city, tmp_path):
    node = Node(city, tmp_path / "edge")
    await node.enrol()
    yield node
    await node.stop()


class Node:
    def __init__(self, city: City, folder, key: NodeKey = KEY) -> None:
        self.city, self.folder, self.key = city, folder, key
        self.store = LmdbStore(folder / "cache", self.key.derive)
        self.trust = None
        self.follower: Follower | None = None
        self.client: CentralClient | None = None

    async def enrol(self) -> None:
        client = CentralClient(self.city.url)
        code = await self.city.platform.database.run(
            lambda tx: nodes.node_code(tx, self.city.platform.root, 600))
        await enrol(client, self.store, code=code, name="test", sign_public=self.key.sign_public,
                    seal_public=self.key.seal_public)
        await client.close()
        self.enrolment = load_enrolment(self.store)

    @property
    def builder(self) -> SnapshotBuilder:
        return SnapshotBuilder(
            url=self.city.url, token=lambda: self.enrolment.token, authority=None, key=self.key,
            store=self.store, folder=self.folder / "bootstrap")

    async def start(self) -> None:
        self.client = CentralClient(self.city.url, token=self.enrolment.token)
        self.follower = Follower(
            central=self.client, store=self.store, seal_private=self.key.sealing,
            publish=lambda trust: setattr(self, "trust", trust), now=time.time,
            builder=self.builder, options=FollowerOptions(
                wait_s=1, retry_first_s=0.05, snapshot_every_s=0.5))
        await self.follower.start()

    async def online(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while self.trust is None or self.trust.mode != "online":
                await asyncio.sleep(0.02)

    async def order(self) -> BuildOrder:
        from central import feed_keys

        keys = await self.city.platform.database.run(feed_keys.to_deliver)
        return BuildOrder(base=load_base(self.store, self.enrolment), feed_keys=keys)

    async def stop(self) -> None:
        if self.follower is not None:
            await self.follower.stop()
            await self.client.close()
        self.store.close()


async def test_node_that_holds_nothing_begins_with_the_snapshot(city, node):
    generation = node.store.generation
    await node.start()
    await node.online()
    assert node.store.counts()["credentials"] == 3 * HOLDERS
    assert node.store.counts()["references"] == node.store.faces == HOLDERS
    assert node.store.references_held == {"dlib-v1": HOLDERS}
    assert node.store.credential(credential_id(7, 2)).holder_id == holder_id(7)
    assert len(node.store.credentials_of(holder_id(7))) == 3
    assert node.store.status(REVOKED).status is Status.REVOKED
    assert node.store.reference(holder_id(7), "dlib-v1").generation == generation
    assert "hotel.checkin" in node.trust.policies
    assert node.trust.keys.key_epochs
    assert node.trust.cursor == node.store.cursor() > CHANGES


async def test_changes_go_on_where_the_snapshot_ends_and_a_restart_knows_all_of_it(city, node):
    await node.start()
    await node.online()
    late = credential_id(9, 0)
    await city.platform.database.run(
        lambda tx: registry.set_status(tx, late.hex(), "suspended", "found"))
    async with asyncio.timeout(DEADLINE_S):
        while node.store.status(late) is None:
            await asyncio.sleep(0.02)
    cursor = node.store.cursor()
    await node.stop()
    node.follower, node.store = None, LmdbStore(node.folder / "cache", KEY.derive)
    assert node.store.cursor() == cursor
    assert node.store.status(late).status is Status.SUSPENDED
    assert node.store.faces == HOLDERS
    assert load_base(node.store, load_enrolment(node.store)).mark.cursor == cursor


@pytest.mark.parametrize("piece", [1, 700, 2_500])
async def test_cut_after_every_piece_goes_on_from_the_last_byte(city, node, piece):
    city.faults.cut_after = piece
    from edge.sync import fetch

    feed = (await node.order()).base.feed(time.time())
    client = CentralClient(city.url, token=node.enrolment.token)
    trusted = await fetch.fetch_snapshot(client, feed, time.time())
    seen = []
    folder = node.folder / "bootstrap" / "parts"
    pause, fetch.PAUSE_S = fetch.PAUSE_S, 0.0
    try:
        if piece == 1:
            folder.mkdir(parents=True)
            name = trusted.snapshot.parts[0].digest.hex()
            whole = city.platform.snapshots.part(name).read_bytes()
            (folder / f"{name}.part").write_bytes(whole[:-3])
        city.faults.cut_after = piece
        if piece == 1:
            trusted = _only(trusted, 1)
        await fetch.fetch_parts(client, trusted, folder, lambda *said: seen.append(said))
    finally:
        fetch.PAUSE_S = pause
        await client.close()
    for part in trusted.snapshot.parts:
        data = (folder / part.digest.hex()).read_bytes()
        assert data == city.platform.snapshots.part(part.digest.hex()).read_bytes()
    assert len(set(city.faults.asked)) > len(trusted.snapshot.parts)
    assert seen[-1][0] == seen[-1][1]


def _only(trusted, count):
    import msgspec

    return msgspec.structs.replace(trusted, snapshot=msgspec.structs.replace(
        trusted.snapshot, parts=trusted.snapshot.parts[:count]))


async def test_part_altered_on_the_way_is_refused_and_nothing_is_adopted(city, node):
    city.faults.swap = True
    with pytest.raises(Refusal) as caught:
        await node.builder.build(await node.order())
    assert caught.value.rule is Rule.DIGEST
    assert node.store.counts()["credentials"] == 0
    city.faults.swap = False
    built = await node.builder.build(await node.order())
    assert built.mark.cursor > CHANGES


async def test_snapshot_under_a_feed_key_that_the_node_lacks_is_refused(city, node):
    order = await node.order()
    with pytest.raises(Refusal) as caught:
        await node.builder.build(BuildOrder(base=order.base, feed_keys={}))
    assert caught.value.rule is Rule.SEAL


async def test_no_personal_data_is_on_the_way_or_on_the_disk_in_clear(city, node):
    await node.builder.build(await node.order())
    on_disk = b"".join(
        path.read_bytes() for path in node.folder.rglob("*") if path.is_file())
    parts = b"".join(city.platform.snapshots.part(part.digest.hex()).read_bytes()
                     for part in city.platform.snapshots.newest.parts)
    for data in (on_disk, parts):
        assert "测试".encode() not in data
        assert holder_id(7) not in data
    assert REVOKED in b"".join(_unpacked(city))


def _unpacked(city):
    import zlib

    for part in city.platform.snapshots.newest.parts:
        if part.key == 0:
            yield zlib.decompress(
                city.platform.snapshots.part(part.digest.hex()).read_bytes())


async def test_revoked_node_makes_the_next_snapshot_be_sealed_anew(city, node):
    await city.platform.database.run(
        lambda tx: nodes.revoke_node(tx, node.enrolment.node_id, "stolen"))
    before = city.platform.snapshots.newest
    await city.platform.snapshots.make()
    after = city.platform.snapshots.newest
    assert {part.key for part in before.parts} == {0, 1}
    assert {part.key for part in after.parts} == {0, 2}
    assert after.version > before.version


async def test_revoking_another_node_changes_the_feed_key_and_this_one_goes_on(city, node):
    await node.start()
    await node.online()
    other = LmdbStore(node.folder / "other", KEY.derive)
    client = CentralClient(city.url)
    code = await city.platform.database.run(
        lambda tx: nodes.node_code(tx, city.platform.root, 600))
    thief = NodeKey(bytes(32))
    enrolment = await enrol(client, other, code=code, name="other",
                            sign_public=thief.sign_public, seal_public=thief.seal_public)
    await client.close()
    other.close()

    def work(tx):
        nodes.revoke_node(tx, enrolment.node_id, "stolen")
        return registry.issue(tx, NewCredential(
            holder_id=holder_id(1).hex(), type="resident_id",
            fields=credentials_of(PEOPLE[0])["resident_id"]))

    issued = bytes.fromhex(await city.platform.database.run(work))
    async with asyncio.timeout(DEADLINE_S):
        while node.store.credential(issued) is None:
            await asyncio.sleep(0.02)
    await node.online()


async def test_platform_answers_a_node_that_asks_by_id_or_number_and_revoked_stays_so(city, node):
    await node.start()
    await node.online()
    believer = node.follower.believer
    lookups = Lookups(node.client, believer, time.time)
    found, changes = await lookups.look_up(credential_ids=(REVOKED,), within_s=5.0)
    assert found == 1
    kinds = [type(change).__name__ for change in changes]
    assert kinds == ["PutCredential", "PutStatus", "PutReference"]
    found, changes = await lookups.look_up(numbers=("330203000000000007",), within_s=5.0)
    assert found == 1
    assert len(changes) == 4
    assert await lookups.look_up(credential_ids=(bytes(16),), within_s=5.0) == (0, ())

    cursor = node.store.cursor()
    old = PutStatus(StatusRecord(credential_id=REVOKED, status=Status.SUSPENDED, changed_s=1))
    await believer.hold([old, *changes])
    assert node.store.status(REVOKED).status is Status.REVOKED
    assert node.store.cursor() == cursor


class Shelf:
    """What a site shares, without a Redis."""

    def __init__(self) -> None:
        self.held: dict[bytes, bytes] = {}

    async def find(self, id_: bytes) -> bytes | None:
        return self.held.get(id_)

    def keep(self, id_: bytes, value: bytes) -> None:
        self.held[id_] = value


async def test_a_node_believes_what_another_of_its_site_was_answered_and_nothing_else(
    city, node, tmp_path
):
    other = Node(city, tmp_path / "other", NodeKey(bytes([9] * 32)))
    await other.enrol()
    try:
        for one in (node, other):
            await one.start()
            await one.online()
        assert other.enrolment.node_id != node.enrolment.node_id
        # Else a batch of the next second makes every answer before it too old.
        await other.follower.stop()
        shelf, asked = Shelf(), []
        first, second = (
            Lookups(one.client, one.follower.believer, time.time) for one in (node, other))
        first.shared = second.shared = shelf
        call = other.client.look_up

        async def counted(raw: bytes, within_s: float) -> bytes:
            asked.append(raw)
            return await call(raw, within_s)

        other.client.look_up = counted
        # Nobody knows it: that isn't kept, for it may be issued the next moment.
        assert await first.look_up(credential_ids=(bytes(16),), within_s=5.0) == (0, ())
        assert not shelf.held
        answer = await first.look_up(credential_ids=(REVOKED,), within_s=5.0)
        assert await second.look_up(credential_ids=(REVOKED,), within_s=5.0) == answer
        assert not asked

        # An answer about somebody else, one that was altered: the platform is asked.
        good = shelf.held[REVOKED]
        shelf.held[SOMEBODY] = good
        assert (await second.look_up(credential_ids=(SOMEBODY,), within_s=5.0))[1] != answer[1]
        shelf.held[REVOKED] = good[:-1] + bytes((good[-1] ^ 1,))
        assert await second.look_up(credential_ids=(REVOKED,), within_s=5.0) == answer
        assert len(asked) == 2
    finally:
        await other.stop()


async def test_a_snapshot_under_a_newer_feed_key_is_taken_in_once_that_key_was_fetched(city, node):
    """The log doesn't help here: its changes aren't kept any more."""
    await node.start()
    await node.online()
    await node.follower.stop()
    await node.client.close()
    other, spare = NodeKey(bytes(32)), LmdbStore(node.folder / "other", KEY.derive)
    code = await city.platform.database.run(
        lambda tx: nodes.node_code(tx, city.platform.root, 600))
    client = CentralClient(city.url)
    enrolment = await enrol(client, spare, code=code, name="other",
                            sign_public=other.sign_public, seal_public=other.seal_public)
    await client.close()
    spare.close()
    await city.platform.database.run(
        lambda tx: nodes.revoke_node(tx, enrolment.node_id, "stolen"))
    await city.platform.snapshots.make()
    head = await city.platform.database.run(lambda tx: tx.head())

    def forget(tx):
        tx.session.get(Counter, BEGINS).value = head

    await city.platform.database.run(forget)
    node.trust = None
    await node.start()
    await node.online()
    assert node.store.cursor() == head
    assert max(node.follower.believer.feed_keys) == 2
