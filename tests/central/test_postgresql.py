"""PostgreSQL for real: two processes, news between them, races, and a server that goes away."""

import asyncio
import secrets
import signal
import threading
import time
from contextlib import AsyncExitStack

import psycopg
import pytest
from sqlalchemy import select, text

from central import facts
from central.errors import Conflict
from central.keys import PlatformKeys
from central.registry import get_credential, set_status
from central.schema import Counter, Mark
from central.store import Database, _Mark
from edge.errors import KeyFileError, StoreError
from edge.protocol.feed import EpochsChanged, PutCredential
from tests.central.desk import FIELDS, NUMBER, desk_of

SOON_S = 5.0
"""Some 10 ms, and more on a busy machine; a poll that isn't woken is answered after 30 s."""
HEARD_S_MAX = 30.0


@pytest.fixture
async def two(postgres, tmp_path):
    """Two platforms of one data folder on one database, each behind a port of its own."""
    address = postgres.new_database()
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(desk_of(tmp_path, address)) for _ in range(2)]


async def hearing(*desks):
    async with asyncio.timeout(HEARD_S_MAX):
        while not all(desk.platform.database.status.hears for desk in desks):
            await asyncio.sleep(0.02)


async def test_a_change_made_at_one_wakes_a_poll_at_the_other(two):
    here, there = two
    await hearing(here, there)
    token = (await here.enrol())[1]["token"]
    head = (await there.feed(token)).head
    for _ in range(3):
        poll = asyncio.create_task(there.feed(token, head, 30))
        await asyncio.sleep(0.2)
        assert not poll.done()
        began = time.monotonic()
        await here.call("POST", "/v1/gates", {"label": "door", "scenes": ["hotel.checkin"]})
        batch = await poll
        assert time.monotonic() - began < SOON_S
        assert (batch.first, len(batch.changes)) == (head, 1)
        head = batch.head


async def test_while_others_are_not_heard_a_poll_looks_for_itself(two, postgres):
    here, there = two
    await there.platform.database._listener.stop()
    there.platform.database._listener.hears = False
    token = (await here.enrol())[1]["token"]
    head = (await there.feed(token)).head
    poll = asyncio.create_task(there.feed(token, head, 30))
    await asyncio.sleep(0.2)
    began = time.monotonic()
    await here.call("POST", "/v1/gates", {"label": "door", "scenes": ["hotel.checkin"]})
    assert len((await poll).changes) == 1
    assert time.monotonic() - began < 2 * SOON_S
    assert (await there.call("GET", "/v1/status"))[1]["database"]["hears"] is False


async def test_what_one_knows_the_other_knows(two):
    here, there = two
    enrolled = (await here.enrol())[1]
    assert (await there.feed(enrolled["token"])).head > 0
    await there.call("DELETE", f"/v1/nodes/{enrolled['node_id']}?reason=stolen")
    assert (await here.call("GET", "/v1/keys", token=enrolled["token"]))[0] == 401


async def test_a_process_with_other_keys_does_not_start(two, tmp_path):
    here, _ = two
    other = PlatformKeys(tmp_path / "other")
    database = Database(here.platform.config.database_url, other)
    with pytest.raises(KeyFileError, match="other keys"):
        await database.run(lambda tx: facts.insist_on_keys(tx, here.platform.roots))
    await database.stop()


async def test_numbers_stay_gapless_whoever_publishes(two):
    databases = [desk.platform.database for desk in two]
    before = await databases[0].run(lambda tx: tx.head())
    numbers = await asyncio.gather(*(
        databases[n % 2].run(lambda tx: tx.publish(EpochsChanged(1))) for n in range(60)))
    assert sorted(numbers) == list(range(before, before + 60))
    assert sum(database.status.failed for database in databases) == 0


async def test_revoked_is_final_for_who_looked_before(two):
    """A suspension that read `valid` before the revocation was committed doesn't overwrite it."""
    here, there = two
    credential = (await here.issue())[1]["credential_id"]
    looked, revoked, runs = threading.Event(), threading.Event(), []

    def suspend(tx):
        runs.append(get_credential(tx, credential).status)
        looked.set()
        assert revoked.wait(10)
        set_status(tx, credential, "suspended", "late")

    late = asyncio.create_task(there.platform.database.run(suspend))
    await asyncio.to_thread(looked.wait, 10)
    said = await here.call("POST", f"/v1/credentials/{credential}/status",
                           {"status": "revoked", "reason": "first"})
    assert said[0] == 200
    revoked.set()
    with pytest.raises(Conflict):
        await late
    assert runs == ["valid", "revoked"]
    shown = (await here.call("GET", f"/v1/credentials/{credential}"))[1]
    assert shown["status"] == "revoked"


async def test_one_number_is_registered_once_whoever_comes_at_the_same_moment(two):
    said = await asyncio.gather(*(
        desk.call("POST", "/v1/holders", {"name": "马晓芸", "number": NUMBER})
        for desk in two for _ in range(4)))
    assert sorted(status for status, _ in said) == [201] + [409] * 7


async def test_a_transaction_that_always_meets_others_goes_in_alone(two):
    """Eight writers of one row, each reading first: all succeed, none is lost."""
    def work(tx):
        row = tx.session.get(Counter, "test")
        if row is None:
            row = Counter(name="test", value=0)
            tx.session.add(row)
        time.sleep(0.01)
        row.value += 1

    databases = [desk.platform.database for desk in two]
    await asyncio.gather(*(databases[n % 2].run(work) for n in range(16)))
    counted = await databases[0].run(lambda tx: tx.session.get(Counter, "test").value)
    assert counted == 16
    assert sum(database.status.retried for database in databases) > 0


async def busy(desk, holder, done, acts):
    """Issue credentials until told to stop; note what each call was answered."""
    while not done.is_set():
        status, headers, said = await desk.ask("POST", "/v1/credentials", {
            "holder_id": holder, "type": "resident_id", "fields": FIELDS})
        acts.append((status, said.get("credential_id"), headers.get("Retry-After")))
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["in order", "as a crash"])
@pytest.mark.parametrize("away_s", [0.0, 8.0], ids=["at once", "beyond all tries"])
async def test_server_restarted_mid_request_leaves_nothing_half_and_nothing_twice(
    postgres, tmp_path, how, away_s
):
    async with desk_of(tmp_path, postgres.new_database()) as desk:
        token = (await desk.enrol())[1]["token"]
        holder, done, acts = await desk.holder(), asyncio.Event(), []
        writers = [asyncio.create_task(busy(desk, holder, done, acts)) for _ in range(6)]
        await asyncio.sleep(0.5)
        await asyncio.to_thread(postgres.restart, how, away_s)
        await asyncio.sleep(1.0)
        done.set()
        await asyncio.gather(*writers)
        assert {status for status, *_ in acts} <= {201, 503}
        assert all(again for status, _, again in acts if status == 503)
        if away_s:
            assert any(status == 503 for status, *_ in acts)
        issued = {credential for status, credential, _ in acts if status == 201}
        batch = await desk.feed(token)
        assert batch.head == len(batch.changes)
        published = [change.credential.credential_id.hex() for change in batch.changes
                     if isinstance(change, PutCredential)]
        assert len(published) == len(set(published))
        assert set(published) == issued
        held = await desk.platform.database.run(lambda tx: {
            row[0].hex() for row in tx.session.execute(text("SELECT id FROM credentials"))})
        assert held == issued
        await hearing(desk)
        status = (await desk.call("GET", "/v1/status"))[1]["database"]
        assert status["retried"] > 0


async def test_a_commit_that_was_not_answered_is_asked_after(postgres, tmp_path):
    """The connection is cut between COMMIT and its answer: done once, and known as done."""
    address = postgres.new_database()
    database = Database(address, PlatformKeys(tmp_path / "keys"))
    runs, cut = [], []

    def work(tx):
        runs.append(1)
        connection = tx.session.connection().connection.driver_connection
        if len(runs) == 1:
            real = connection.commit

            def commit():
                real()
                connection.close()
                cut.append(1)
                raise psycopg.OperationalError("server closed the connection unexpectedly")

            connection.commit = commit
        return tx.publish(EpochsChanged(1))

    number = await database.run(work)
    assert (number, len(runs), len(cut)) == (0, 1, 1)
    assert await database.run(lambda tx: tx.head()) == 1
    await database.stop()


async def test_a_number_that_a_crash_gave_to_another_transaction_proves_nothing(
    postgres, tmp_path
):
    """Numbers whose log wasn't on disk are given again after a crash: only the mark is ours."""
    database = Database(postgres.new_database(), PlatformKeys(tmp_path / "keys"))

    def work(tx):
        tx.publish(EpochsChanged(1))
        return tx.session.scalar(text("SELECT txid_current()"))

    number = await database.run(work)
    until = time.monotonic() + 5
    assert not database._did_commit(_Mark(bytes(16), number), until)
    (mark,) = await database.run(lambda tx: tx.session.scalars(select(Mark.id)).all())
    assert database._did_commit(_Mark(mark, number), until)
    await database.stop()


async def test_a_commit_that_did_not_happen_is_done_again(postgres, tmp_path):
    database = Database(postgres.new_database(), PlatformKeys(tmp_path / "keys"))
    runs = []

    def work(tx):
        runs.append(1)
        number = tx.publish(EpochsChanged(1))
        if len(runs) == 1:
            pid = tx.session.scalar(text("SELECT pg_backend_pid()"))
            with psycopg.connect(database._listener._address, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s)", (pid,))
        return number

    assert await database.run(work) == 0
    assert len(runs) == 2
    assert await database.run(lambda tx: tx.head()) == 1
    await database.stop()


async def test_texts_that_no_column_takes_are_refused_not_broken(desk):
    name = secrets.token_hex(4) + "\0"
    status, _ = await desk.call("POST", "/v1/holders", {"name": name, "number": NUMBER})
    assert status in {201, 422}
    assert (await desk.call("GET", "/v1/credentials/%00"))[0] == 404
    enrolled = await desk.enrol(name="n\0")
    assert enrolled[0] == 422


def test_no_server_is_said_in_words(tmp_path):
    with pytest.raises(StoreError, match="is its server running"):
        Database(f"postgresql://kanhe@/x?host={tmp_path}", PlatformKeys(tmp_path / "keys"))
