"""The journal's lists stay a range of an index, however long the journal is."""

import pytest
from sqlalchemy import event

from central.config import CentralConfig
from central.history import FILTERS, journal_page
from central.platform import Platform
from central.schema import JournalEntry
from edge.protocol.journal import EventRecord, encode_record

ROWS = 3_000


@pytest.fixture
async def platform(tmp_path, address):
    platform = Platform(CentralConfig(data_dir=tmp_path, database_url=address), None)
    await platform.start()
    record = encode_record(EventRecord(at_ms=1, event="e", detail={}))
    rows = [{"log": "0" * 32, "index": n, "leaf": bytes(32), "record": record, "taken_s": 1,
             "at_ms": n // 7, "decision": "accept", "reason": "ok", "scene": "s", "gate_id": "g",
             "verification_id": f"v{n}", "credential_id": bytes(16)} for n in range(ROWS)]
    await platform.database.run(
        lambda tx: tx.session.execute(JournalEntry.__table__.insert(), rows), "test")
    yield platform
    await platform.stop()


async def test_pages_follow_each_other_without_a_gap_or_a_repeat(platform):
    seen, before = [], ""
    while True:
        page = await platform.database.run(
            lambda tx, before=before: journal_page(tx, {}, before), "test")
        seen += [row.index for row in page.rows]
        before = page.older
        if not before:
            break
    assert seen == list(range(ROWS))[::-1]


@pytest.mark.parametrize("name", ["", *FILTERS, "credential_id"])
@pytest.mark.parametrize("address", [""], ids=["sqlite"])
async def test_every_list_is_read_through_an_index(platform, name):
    filters = {name: "00" * 16 if name == "credential_id" else "accept"} if name else {}
    seen = []

    def work(tx):
        def heard(_, __, statement, parameters, *___):
            seen.append((statement, parameters))

        connection = tx.session.connection()
        event.listen(connection.engine, "before_cursor_execute", heard)
        journal_page(tx, filters, "300." + "0" * 32 + ".2100")
        event.remove(connection.engine, "before_cursor_execute", heard)
        statement, parameters = next(item for item in seen if "FROM journal" in item[0])
        plan = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters)
        return " / ".join(row[3] for row in plan)

    plan = await platform.database.run(work, "test")
    assert "SCAN" not in plan, plan
    assert "INDEX" in plan, plan
