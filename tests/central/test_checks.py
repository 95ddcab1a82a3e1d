"""`check-config` tries the database and shows no password."""

import sqlite3

import pytest
from sqlalchemy import text

from central.checks import try_database
from central.config import CentralConfig
from central.engine import open_engine, parse_address
from central.upgrade import migrate, prepare


def said(address):
    return [(found.kind, found.words) for found in try_database(address)]


def test_a_new_database_is_told_from_one_in_use(address, tmp_path):
    address = address or f"sqlite:///{tmp_path / 'central.db'}"
    before = said(address)
    assert before == [] or "empty" in before[0][1]
    engine = open_engine(parse_address(address), 1)
    prepare(engine)
    assert said(address) == []
    migrate(engine, "0001")
    ((kind, words),) = said(address)
    assert kind == ("note" if address.startswith("sqlite") else "error")
    assert "0001" in words
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    ((kind, words),) = said(address)
    assert (kind, "newer" in words) == ("error", True)
    engine.dispose()


def test_nothing_is_made_by_trying(tmp_path):
    assert said(f"sqlite:///{tmp_path / 'central.db'}") == []
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_not_there_and_a_file_that_is_none_are_said(tmp_path):
    ((kind, words),) = said(f"postgresql://kanhe@/x?host={tmp_path}")
    assert (kind, "can't be reached" in words) == ("error", True)
    (tmp_path / "central.db").write_bytes(b"no database" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(tmp_path / "central.db").execute("SELECT * FROM sqlite_master")
    assert said(f"sqlite:///{tmp_path / 'central.db'}")[0][0] == "error"


@pytest.mark.parametrize("address,shown", [
    ("postgresql://kanhe:tiger@db/x", "postgresql://kanhe:***@db/x"),
    ("postgresql://kanhe@db/x?password=tiger&sslmode=require",
     "postgresql://kanhe@db/x?password=***&sslmode=require"),
    ("postgresql://db/x", "postgresql://db/x"), ("", "")])
def test_what_is_shown_holds_no_password(address, shown):
    assert CentralConfig(database_url=address).without_secrets().database_url == shown
