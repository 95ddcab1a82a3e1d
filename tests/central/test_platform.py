"""The central platform over real HTTP, on each database: codes, feed, journal, policies, roles."""

import asyncio
import base64
import time

import msgspec
import pytest

from central.config import CentralConfig
from central.identifiers import wrong_credit_code, wrong_plate, wrong_resident_id, wrong_vin
from central.platform import Platform
from edge.errors import StoreError
from edge.node_key import NodeKey
from edge.protocol.feed import Envelope, KeyDelivery, root_fingerprint, seal_info
from edge.protocol.journal import EventRecord, JournalUpload, encode_record
from edge.protocol.records import EpochKeys
from tests.central.desk import FIELDS, KEY, NUMBER, FakeEnroller, desk_of

SOON_S = 5.0
"""Some 10 ms, and more on a busy machine; a poll that isn't woken is answered after 20 s."""


@pytest.mark.parametrize("check,good,bad", [
    (wrong_resident_id, "11010519491231002X", "110105194912310021"),
    (wrong_resident_id, NUMBER, "330203199002310244"),
    (wrong_credit_code, "91350100M000100Y43", "91350100M000100Y44"),
    (wrong_plate, "浙B12345", "浙I12345"), (wrong_plate, "浙BD12345", "B12345"),
    (wrong_vin, "1M8GDM9AXKP042788", "1M8GDM9A1KP042788"),
])
def test_identifiers_are_checked(check, good, bad):
    assert check(good) == ""
    assert check(bad)


async def test_a_credential_needs_its_real_fields(desk):
    assert (await desk.issue(fields={**FIELDS, "birth_date": "1990-02-12"}))[0] in {409, 422}
    status, problem = await desk.call("POST", "/v1/holders", {"name": "x", "number": "1"})
    assert status == 422
    assert "number" in problem["detail"]


async def test_a_change_reaches_a_waiting_node_at_once_and_in_order(desk):
    token = (await desk.enrol())[1]["token"]
    before = await desk.feed(token)
    assert before.first == 0
    assert before.head == len(before.changes)
    waiting = asyncio.create_task(desk.feed(token, before.head, 20))
    await asyncio.sleep(0.2)
    start = time.monotonic()
    status, issued = await desk.issue()
    assert status == 201
    batch = await waiting
    assert time.monotonic() - start < SOON_S
    assert batch.first == before.head
    path = f"/v1/credentials/{issued['credential_id']}/status"
    for word, expected in (("suspended", 200), ("valid", 200), ("revoked", 200), ("valid", 409)):
        found = await desk.call("POST", path, {"status": word, "reason": "test"})
        assert found[0] == expected
    assert (await desk.call("POST", path, {"status": "revoked", "reason": " "}))[0] == 422
    assert (await desk.feed(token)).head == before.head + 4


async def test_many_that_wait_for_one_change_share_one_look_at_it(desk):
    token = (await desk.enrol())[1]["token"]
    head = (await desk.feed(token)).head
    waiting, look_first = [], desk.platform._look

    async def looked(*where):
        found = await look_first(*where)
        waiting.append(found)
        return found

    desk.platform._look = looked
    polls = [asyncio.create_task(desk.feed(token, head, 20)) for _ in range(40)]
    while len(waiting) < len(polls):
        await asyncio.sleep(0.01)
    looks, look = [], desk.platform._read

    async def counted(cursor):
        looks.append(cursor)
        return await look(cursor)

    desk.platform._read = counted
    await desk.issue()
    batches = await asyncio.gather(*polls)
    assert {(batch.first, len(batch.changes)) for batch in batches} == {(head, 1)}
    assert looks.count(head) <= 2  # two where the second changes between


async def test_a_look_that_failed_is_shared_with_nobody_later(desk):
    token = (await desk.enrol())[1]["token"]
    look, fails = desk.platform._read, [1]

    async def broken(cursor):
        if fails:
            fails.clear()
            raise StoreError("gone")
        return await look(cursor)

    desk.platform._read = broken
    assert (await desk.ask("GET", "/v1/feed?cursor=0&wait_s=0", token=token))[0] == 503
    assert (await desk.feed(token)).head > 0


async def test_a_node_code_pins_the_root_and_is_spent_once(desk):
    code = (await desk.call("POST", "/v1/node-codes"))[1]["code"]
    status, answer = await desk.enrol(code)
    body = msgspec.msgpack.decode(base64.b64decode(answer["root"]), type=Envelope).body
    assert status == 200
    assert code.endswith(root_fingerprint(body))
    again = await desk.enrol(code)
    assert (again[0], again[1]["node_id"]) == (200, answer["node_id"])
    assert (await desk.enrol(code, NodeKey(bytes([6] * 32))))[0] == 403
    assert (await desk.enrol("WRONG" + code[5:]))[0] == 403


async def test_key_epochs_come_sealed_to_the_node(desk):
    enrolled = (await desk.enrol())[1]
    _, raw = await desk.call("GET", "/v1/keys", token=enrolled["token"])
    body = msgspec.msgpack.decode(raw, type=Envelope).body
    delivery = msgspec.msgpack.decode(body, type=KeyDelivery)
    today = int(time.time() // 86_400)
    assert [epoch.key_epoch for epoch in delivery.epochs] == [today - 1, today, today + 1]
    plain = KEY.sealing.open(delivery.epochs[0].sealed, seal_info(enrolled["node_id"]))
    assert msgspec.msgpack.decode(plain, type=EpochKeys).key_epoch == today - 1


async def test_journal_records_are_held_once_and_never_changed(desk):
    enrolled = (await desk.enrol())[1]
    log = (await desk.call("GET", "/v1/nodes"))[1]["nodes"][0]["journal_log"]
    records = tuple(
        encode_record(EventRecord(at_ms=n, event="e", detail={})) for n in range(5))

    async def ship(first, part, name=log):
        upload = JournalUpload(log=name, first=first, records=part)
        return await desk.call("POST", "/v1/journal", token=enrolled["token"],
                               data=msgspec.msgpack.encode(upload))

    assert await ship(0, records[:3]) == (200, {"next": 3})
    assert await ship(1, records[1:]) == (200, {"next": 5})
    assert await ship(7, records[:1]) == (409, {"next": 5})
    assert await ship(2, records[:1]) == (409, {"next": 5})
    assert (await ship(5, records[:1], "0" * 32))[0] == 403
    assert (await ship(5, (b"rubbish",)))[0] == 422
    taken = (await desk.call("GET", "/v1/journal"))[1]["records"]
    assert [record["index"] for record in taken] == [0, 1, 2, 3, 4]


async def test_a_revoked_node_gets_nothing_further(desk):
    enrolled = (await desk.enrol())[1]
    await desk.call("DELETE", f"/v1/nodes/{enrolled['node_id']}?reason=stolen")
    for path in ("/v1/feed?cursor=0&wait_s=0", "/v1/keys", "/v1/root?version=1"):
        assert (await desk.call("GET", path, token=enrolled["token"]))[0] == 401


@pytest.mark.parametrize("path", ["/v1/holders", "/v1/nodes", "/v1/journal", "/v1/policies"])
async def test_only_an_administrator_administers(desk, path):
    enrolled = (await desk.enrol())[1]
    for token in ("", "wrong", enrolled["token"]):
        assert (await desk.call("GET", path, token=token))[0] == 401


async def test_policies_are_versioned_and_checked(desk):
    policy = (await desk.call("GET", "/v1/policies/hotel.checkin"))[1]
    path = "/v1/policies/hotel.checkin?reason=test"
    changed = (await desk.call("PUT", path, {**policy, "steps_back": 2}))[1]
    assert (changed["version"], changed["steps_back"]) == (policy["version"] + 1, 2)
    for wrong in ({"accepts": ["nothing"]}, {"steps_back": 99}, {"odd": 1}, {"fmr_max": 0.0},
                  {"fmr_max": 1.0}, {"fnmr_max": 0.0}, {"fnmr_max": 1.1},
                  {"challenge_open_s": 0}, {"challenge_actions": 3}, {"challenge": "maybe"},
                  {"reference_age_max_days": 0}, {"reference_age_max_days": 40_000},
                  {"fpir_max": 0.0}, {"fpir_max": 1.0}, {"identification_margin": -0.1},
                  {"identification_margin": 1.0}, {"identification": "sometimes"}):
        assert (await desk.call("PUT", path, {**policy, **wrong}))[0] == 422


async def test_listings_are_masked_and_photographs_judged(desk):
    holder = await desk.holder()
    shown = (await desk.call("GET", "/v1/holders"))[1]["holders"][0]
    assert (shown["name"], shown["number"]) == ("马**", "330***********0244")
    path = f"/v1/holders/{holder}/photograph"
    assert (await desk.call("POST", path, data=b"somebody"))[0] == 409  # nobody consented yet
    await desk.call("POST", f"/v1/holders/{holder}/consents", {
        "purpose": "face_verification", "given": True, "how": "signed"})
    status, problem = await desk.call("POST", path, data=b"nobody")
    assert (status, "face_absent" in problem["detail"]) == (422, True)
    assert (await desk.call("POST", path, data=b"somebody"))[0] == 201


async def test_no_name_number_or_master_is_in_the_database_file(tmp_path):
    async with desk_of(tmp_path) as desk:
        await desk.issue()
    disk = b"".join(path.read_bytes() for path in tmp_path.glob("central.db*"))
    for secret in ("马晓芸".encode(), NUMBER.encode()):
        assert secret not in disk


async def test_a_restart_keeps_everything_and_the_same_root(tmp_path, address):
    config = CentralConfig(data_dir=tmp_path, database_url=address)
    first = Platform(config, FakeEnroller())
    await first.start()
    counters, root = await first.counters(), first.root
    await first.stop()
    second = Platform(config, FakeEnroller())
    await second.start()
    assert (await second.counters(), second.root) == (counters, root)
    await second.stop()
