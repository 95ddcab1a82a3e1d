"""Migrations: an earlier database is brought up where it lies, a newer one is left alone."""

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from central.engine import open_engine, parse_address
from central.keys import PlatformKeys
from central.migrations import HEAD, KNOWN
from central.migrations.versions import v0001_initial
from central.schema import Base
from central.store import Database
from central.upgrade import migrate, prepare, schema_of
from edge.errors import ConfigError, StoreError
from tests.central.desk import KEY, desk_of

BEFORE = Path(__file__).with_name("data") / "before-migrations.sql"
OLD_NODE, OLD_TOKEN = "7383ee826e10a1cd", "WnQn4kUrdfI2jhfZacVedOPnCD0fe9yGj7Z_HrRBqSk"


@pytest.fixture
def engine(tmp_path, address):
    engine = open_engine(parse_address(address or f"sqlite:///{tmp_path / 'central.db'}"), 2)
    yield engine
    engine.dispose()


@pytest.fixture
def old(tmp_path):
    """A folder with a database that the platform made before there were migrations."""
    with sqlite3.connect(tmp_path / "central.db") as connection:
        connection.executescript(BEFORE.read_text("utf-8"))
    connection.close()
    return tmp_path


def of_schema(engine, number):
    """Make a database of an earlier schema."""
    with engine.begin() as connection:
        v0001_initial.metadata.create_all(connection)
    migrate(engine, number)


@pytest.mark.parametrize("number", KNOWN)
def test_the_sum_of_all_migrations_is_the_schema(engine, number):
    of_schema(engine, number)
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        assert schema_of(connection) == HEAD


def test_what_is_made_at_once_is_what_migrations_make(engine):
    prepare(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        assert schema_of(connection) == HEAD


def test_the_way_back_and_forth_keeps_what_is_held(engine):
    prepare(engine)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO counters VALUES ('changes', 7)"))
    migrate(engine, "0001")
    with engine.connect() as connection:
        assert "facts" not in inspect(connection).get_table_names()
    migrate(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT value FROM counters")) == 7


async def test_an_earlier_database_is_brought_up_with_a_copy_beside_it(old):
    async with desk_of(old) as desk:
        (node,) = (await desk.call("GET", "/v1/nodes"))[1]["nodes"]
        assert (node["node_id"], node["name"]) == (OLD_NODE, "旧节点")
        batch = await desk.feed(OLD_TOKEN)  # its token goes on being good
        assert batch.head == len(batch.changes) > 0
    copy = sqlite3.connect(old / "central.db.schema-before")
    columns = {row[1] for row in copy.execute("PRAGMA table_info(nodes)")}
    assert "token_hash" in columns
    assert "token_expires_s" not in columns
    copy.close()


def test_a_migration_that_fails_changes_nothing(old):
    with sqlite3.connect(old / "central.db") as connection:
        connection.execute("ALTER TABLE wallets DROP COLUMN paired_s")
    connection.close()
    engine = open_engine(parse_address(f"sqlite:///{old / 'central.db'}"), 1)
    with pytest.raises(StoreError, match=r"wallets\.paired_s"):
        prepare(engine)
    with engine.connect() as connection:
        assert schema_of(connection) == "before"
        assert "facts" not in inspect(connection).get_table_names()
    engine.dispose()


def test_a_newer_database_is_refused_in_words_and_left_alone(tmp_path, engine):
    prepare(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for act in (prepare, migrate):
        with pytest.raises(StoreError, match="newer version"):
            act(engine)
    with engine.connect() as connection:
        assert schema_of(connection) == "9999"


def test_an_older_postgresql_waits_for_the_administrator(postgres, tmp_path):
    address = postgres.new_database()
    engine = open_engine(parse_address(address), 1)
    of_schema(engine, "0001")
    with pytest.raises(StoreError, match="kanhe central migrate"):
        Database(address, PlatformKeys(tmp_path / "keys"))
    migrate(engine)
    prepare(engine)
    engine.dispose()


def test_a_schema_that_is_not_known_is_no_goal(engine):
    with pytest.raises(ConfigError, match="--to"):
        migrate(engine, "0099")


@pytest.mark.parametrize("address", [
    "mysql://root@localhost/x", "not an address", "oracle://scott:tiger@db/x"])
def test_an_address_of_another_database_is_refused_without_its_password(address):
    with pytest.raises(ConfigError, match="database_url") as caught:
        parse_address(address)
    assert "tiger" not in str(caught.value)


def test_the_old_node_is_the_desks_node():
    import hashlib

    assert hashlib.sha256(KEY.sign_public).hexdigest()[:32] in BEFORE.read_text("utf-8")
