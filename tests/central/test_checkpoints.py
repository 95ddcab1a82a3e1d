"""Counter-signing over real HTTP: what is held is signed, changed histories are refused."""

import msgspec
import pytest

from central.checkpoints import KEPT_EVERY, prove
from central.errors import Unknown
from central.schema import Act, JournalCheckpoint
from edge.hotpath.checkpoint import (
    CheckpointAnswer,
    check_countersignature,
    sign_checkpoint,
)
from edge.hotpath.merkle import Frontier, hash_leaf
from edge.hotpath.receipt import check_receipt
from edge.node_key import NodeKey
from edge.protocol.journal import EventRecord, JournalUpload, encode_record
from tests.central.desk import KEY


def records(count, *, but=()):
    return [encode_record(EventRecord(at_ms=n, event="other" if n in but else "e", detail={}))
            for n in range(count)]


def checkpoint(held, key=KEY):
    tree = Frontier()
    for record in held:
        tree.append(hash_leaf(record))
    return sign_checkpoint(tree, 1_000, key.signing)


class Wired:
    def __init__(self, desk, token: str) -> None:
        self.desk, self.token = desk, token
        self.log = checkpoint(()).log

    async def ship(self, held, first=0):
        for start in range(first, len(held), 2_000):
            upload = JournalUpload(
                log=self.log, first=start, records=tuple(held[start:start + 2_000]))
            status, _ = await self.desk.call(
                "POST", "/v1/journal", token=self.token, data=msgspec.msgpack.encode(upload))
            assert status == 200

    async def sign(self, point):
        status, body = await self.desk.call(
            "POST", "/v1/journal/checkpoint", token=self.token, data=msgspec.json.encode(point))
        return status, body

    async def prove(self, index):
        return await self.desk.platform.database.run(lambda tx: prove(tx, self.log, index))


@pytest.fixture
async def wired(desk):
    return Wired(desk, (await desk.enrol())[1]["token"])


async def test_a_checkpoint_of_what_is_held_is_counter_signed_with_the_published_key(wired):
    held = records(30)
    await wired.ship(held)
    _, published = await wired.desk.call("GET", "/v1/witness", token="")
    for size in (10, 30, 10, 17):
        point = checkpoint(held[:size])
        status, body = await wired.sign(point)
        said = msgspec.convert(body, CheckpointAnswer)
        assert (status, said.held) == (200, 30)
        check_countersignature(said.countersignature, point, published["public"])
    again = await wired.sign(checkpoint(held))
    assert again == await wired.sign(checkpoint(held))


async def test_a_checkpoint_ahead_of_the_records_waits_for_them(wired):
    held = records(10)
    await wired.ship(held[:6])
    status, body = await wired.sign(checkpoint(held))
    assert (status, body) == (409, {"held": 6, "countersignature": None})
    await wired.ship(held, first=6)
    assert (await wired.sign(checkpoint(held)))[0] == 200


@pytest.mark.parametrize("changed", [0, 9, 14, 19])
async def test_a_rewritten_history_or_a_fork_is_refused_and_kept_as_evidence(wired, changed):
    held = records(20)
    await wired.ship(held)
    assert (await wired.sign(checkpoint(held[:10])))[0] == 200
    lie = checkpoint(records(20, but={changed}))
    for _ in range(2):
        status, body = await wired.sign(lie)
        assert (status, body["countersignature"]) == (409, None)
    acts = await wired.desk.platform.database.run(
        lambda tx: [act.act for act in tx.session.query(Act).all()])
    assert acts.count("journal.diverged") == 1
    assert (await wired.sign(checkpoint(held)))[0] == 200


async def test_strangers_and_garbage_are_not_signed(wired):
    held = records(5)
    await wired.ship(held)
    good = checkpoint(held)
    stranger = NodeKey(bytes([6] * 32))
    assert (await wired.sign(checkpoint(held, stranger)))[0] == 403
    for lie in (
        msgspec.structs.replace(good, signature="00" * 64),
        msgspec.structs.replace(good, at_ms=2),
        msgspec.structs.replace(good, frontier=()),
        msgspec.structs.replace(good, root="zz"),
        msgspec.structs.replace(good, size=-1),
        msgspec.structs.replace(good, public=stranger.sign_public.hex()),
    ):
        assert (await wired.sign(lie))[0] == 422
    for data in (b"", b"{}", b"\xff", b"x" * 20_000):
        status, _ = await wired.desk.call(
            "POST", "/v1/journal/checkpoint", token=wired.token, data=data)
        assert status == 422
    status, _ = await wired.desk.call(
        "POST", "/v1/journal/checkpoint", token="nobody", data=msgspec.json.encode(good))
    assert status == 401


async def test_few_checkpoints_are_kept_and_every_record_is_still_proved(wired):
    held = records(KEPT_EVERY * 2 + 500)
    sizes = [*range(100, len(held), 1_000), len(held)]
    await wired.ship(held)
    for size in sizes:
        assert (await wired.sign(checkpoint(held[:size])))[0] == 200

    def kept(tx):
        return tx.session.query(JournalCheckpoint).count()

    assert await wired.desk.platform.database.run(kept) <= 5 < len(sizes)
    for index in (0, 99, 100, KEPT_EVERY - 1, KEPT_EVERY, 5_000, len(held) - 1):
        proof = await wired.prove(index)
        assert not check_receipt(
            proof, key=KEY.sign_public.hex(), witness=wired.desk.platform.keys.witness_public)
        assert proof.leaf == hash_leaf(held[index]).hex()


async def test_a_record_that_is_not_counter_signed_yet_has_no_receipt_file(wired):
    await wired.ship(records(3))
    with pytest.raises(Unknown, match="yet"):
        await wired.prove(1)
