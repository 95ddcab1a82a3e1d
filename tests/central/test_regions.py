"""The region of a holder: set, moved, and carried by whatever is published of the holder."""

import asyncio

import msgspec
import pytest

from central import compaction, feed_keys, lookups
from central.registry import parse_id
from central.schema import Act, Holder, Node
from edge.protocol.feed import Change, PutCredential, PutReference, change_bound
from edge.protocol.lookup import LookupRequest, lookup_log
from edge.protocol.records import CredentialRecord, ReferenceRecord
from edge.sync.sealing import open_change
from tests.central.desk import FIELDS, NUMBER


async def registered(desk, **more) -> tuple[str, str]:
    """A holder with a credential, a photograph and the consent to it."""
    _, said = await desk.call("POST", "/v1/holders", {"name": "马晓芸", "number": NUMBER, **more})
    holder = said["holder_id"]
    await desk.call("POST", f"/v1/holders/{holder}/consents", {
        "purpose": "face_verification", "given": True, "how": "signed"})
    await desk.call("POST", f"/v1/holders/{holder}/photograph", data=b"picture")
    _, said = await desk.call("POST", "/v1/credentials", {
        "holder_id": holder, "type": "resident_id", "fields": FIELDS})
    return holder, said["credential_id"]


async def published(desk) -> list[Change]:
    """What the feed says of credentials and references, the oldest first."""
    _, node = await desk.enrol()
    return [item for item in (await desk.feed(node["token"])).changes
            if isinstance(item, PutCredential | PutReference)]


def region_of(change) -> str:
    return (change.credential if isinstance(change, PutCredential) else change.reference).region


async def test_region_of_a_holder_is_on_everything_published_of_the_holder(desk):
    await registered(desk, region="330203")
    assert [region_of(item) for item in await published(desk)] == ["330203", "330203"]


async def test_a_holder_registered_without_one_belongs_to_none(desk):
    holder, _ = await registered(desk)
    assert [region_of(item) for item in await published(desk)] == ["", ""]
    _, said = await desk.call("GET", "/v1/holders")
    assert [(item["holder_id"], item["region"]) for item in said["holders"]] == [(holder, "")]


async def test_moving_a_holder_publishes_everything_anew_and_is_noted(desk):
    holder, credential = await registered(desk, region="330203")
    for _ in range(2):
        status, said = await desk.call(
            "PUT", f"/v1/holders/{holder}/region", {"region": "330205"})
        assert (status, said) == (200, {"holder_id": holder, "region": "330205"})
    changes = await published(desk)
    assert [region_of(item) for item in changes] == ["330203"] * 2 + ["330205"] * 2
    moved = [item for item in changes[2:] if isinstance(item, PutCredential)]
    assert moved[0].credential.credential_id.hex() == credential
    acts = await desk.platform.database.run(lambda tx: [
        (row.subject, row.reason) for row in tx.session.query(Act).filter_by(act="holder.region")])
    assert acts == [(holder, "330203 to 330205")]


async def test_feed_ends_with_the_region_in_force_whoever_comes_at_the_same_moment(desk):
    holder, _ = await registered(desk)

    async def issue() -> None:
        status, _ = await desk.call("POST", "/v1/credentials", {
            "holder_id": holder, "type": "resident_id", "fields": FIELDS})
        assert status == 201

    async def move(region: str) -> None:
        status, _ = await desk.call("PUT", f"/v1/holders/{holder}/region", {"region": region})
        assert status == 200

    for turn in range(4):
        await asyncio.gather(*(
            call for n in range(3) for call in (issue(), move(f"r{turn}-{n}"))))
    shown = (await desk.call("GET", "/v1/holders"))[1]["holders"][0]["region"]
    last = {}
    for change in await published(desk):
        record = change.credential if isinstance(change, PutCredential) else change.reference
        last[getattr(record, "credential_id", b"the face")] = record.region
    assert len(last) == 14
    assert set(last.values()) == {shown}


async def test_moving_who_withdrew_consent_publishes_no_reference(desk):
    holder, _ = await registered(desk)
    await desk.call("POST", f"/v1/holders/{holder}/consents", {
        "purpose": "face_verification", "given": False, "how": "signed"})
    await desk.call("PUT", f"/v1/holders/{holder}/region", {"region": "a"})
    moved = [item for item in await published(desk) if region_of(item) == "a"]
    assert [type(item) for item in moved] == [PutCredential]


@pytest.mark.parametrize("region", ["", "330203", "A", "haishu.east-2", "x" * 16])
async def test_codes_and_none_are_regions(desk, region):
    holder, _ = await registered(desk)
    status, _ = await desk.call("PUT", f"/v1/holders/{holder}/region", {"region": region})
    assert status == 200


@pytest.mark.parametrize("region", [" ", "x" * 17, "海曙", "-a", "a b", "a/b", "a\n"])
async def test_what_is_no_code_is_refused_with_what_to_write(desk, region):
    holder, _ = await registered(desk)
    for method, path, body in (
        ("PUT", f"/v1/holders/{holder}/region", {"region": region}),
        ("POST", "/v1/holders", {"name": "a", "number": "330203199002110105", "region": region}),
    ):
        status, said = await desk.call(method, path, body)
        assert (status, "region: up to 16 letters" in said["detail"]) == (422, True), said
    assert (await desk.call("PUT", f"/v1/holders/{'0' * 32}/region", {"region": "a"}))[0] == 404


async def test_snapshots_and_answers_carry_it_as_well(desk):
    holder, credential = await registered(desk, region="330203")
    await desk.call("PUT", f"/v1/holders/{holder}/region", {"region": "330205"})
    _, enrolled = await desk.enrol()
    run = desk.platform.database.run
    kept = [item async for page in compaction.pages(desk.platform.database) for item in page
            if isinstance(item, PutCredential | PutReference)]
    assert [region_of(item) for item in kept] == ["330205", "330205"]

    def ask(tx):
        node = tx.session.get(Node, enrolled["node_id"])
        said = lookups.look_up(tx, node, "l", LookupRequest(
            credential_ids=(bytes.fromhex(credential),)), b"")
        return [open_change(item, feed_keys.to_deliver(tx), change_bound(
            lookup_log("l", node.id), place)) for place, item in enumerate(said.changes)]

    assert [region_of(item) for item in await run(ask)] == ["330205", "330205"]


class CredentialOfBefore(msgspec.Struct, frozen=True, kw_only=True):
    """The record as versions read it that know no region."""

    credential_id: bytes
    holder_id: bytes
    type: str
    valid_from_s: int
    valid_until_s: int | None
    fields: dict[str, str]
    updated_s: int = 0


def test_records_are_read_by_versions_that_know_no_region_and_theirs_by_this_one():
    new = CredentialRecord(
        credential_id=bytes(16), holder_id=bytes(16), type="resident_id", valid_from_s=0,
        valid_until_s=None, fields={"name": "a"}, region="330203")
    old = msgspec.msgpack.decode(msgspec.msgpack.encode(new), type=CredentialOfBefore)
    assert old.fields == {"name": "a"}
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(old), type=CredentialRecord)
    assert again == msgspec.structs.replace(new, region="")
    reference = {"holder_id": bytes(16), "pack": "p", "template": b"t", "created_s": 1}
    assert msgspec.convert(reference, ReferenceRecord).region == ""


async def test_what_is_sealed_of_a_holder_is_what_earlier_versions_read(desk):
    holder, _ = await registered(desk, region="330203")

    def sealed(tx):
        row = tx.session.get(Holder, parse_id(holder, "holder"))
        return msgspec.json.decode(tx.keys.open(f"holder/{holder}", row.sealed))

    assert await desk.platform.database.run(sealed) == {"name": "马晓芸", "number": NUMBER}
