"""Brings a database to the schema of this version, or says why it doesn't.

- An empty database is made at once. One of an older schema is brought up inside one transaction:
  SQLite's at the start, after a copy was put beside it; PostgreSQL's by `kanhe central migrate`,
  because other processes may be at work on it and the copy is the administrator's to make.
- A database from before there were migrations is recognised by its tables.
- A newer schema is refused: nothing of it is touched.
"""

import logging
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from central.migrations import HEAD, KNOWN
from central.schema import Base
from edge.errors import ConfigError, StoreError

_LOG = logging.getLogger(__name__)
BEFORE = "before"
"""Stands for a database from before there were migrations."""
LOCK_ID = 0x6B616E6865
"""PostgreSQL: whoever changes the schema holds this advisory lock."""
_FOLDER = Path(__file__).with_name("migrations")
_VERSION = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))


def prepare(engine: Engine) -> None:
    """Let the database be of this version's schema, at the start of the platform.

    Raises:
        StoreError: It is newer, or older and not ours to change now; says what to do.
    """
    with engine.begin() as connection:
        _lock(connection)
        found = schema_of(connection)
        if found == "":
            Base.metadata.create_all(connection)
            _VERSION.create(connection)
            connection.execute(_VERSION.insert().values(version_num=HEAD))
            return
    if found == HEAD:
        return
    _refuse_newer(found)
    if engine.dialect.name != "sqlite":
        raise StoreError(
            f"the database is of schema {_words(found)}, this version needs {HEAD}: make a backup, "
            "then run `kanhe central migrate`")
    migrate(engine, HEAD)


def migrate(engine: Engine, to: str = HEAD) -> tuple[str, str, Path | None]:
    """Bring a database up, or back, to a schema, in one transaction.

    Returns:
        The schema before and after, and where the copy of an SQLite database is.

    Raises:
        ConfigError: There is no such schema.
        StoreError: It is newer than this version, or the change failed and nothing was changed.
    """
    if to not in KNOWN:
        raise ConfigError(f"--to: this version knows the schemas {', '.join(KNOWN)}")
    with engine.connect() as connection:
        found = schema_of(connection)
    _refuse_newer(found)
    if found == to:
        return found, to, None
    path = sqlite_path(engine)
    copy = None
    if path is not None and found:
        copy = path.with_name(f"{path.name}.schema-{found}")
        copy_sqlite(path, copy)
    try:
        with engine.begin() as connection:
            _lock(connection)
            # Another process may have been faster.
            if schema_of(connection) == found:
                _run(connection, found, to)
            _insist_on_columns(connection, to)
    except SQLAlchemyError as error:
        raise StoreError(
            f"the database couldn't be brought from schema {_words(found)} to {to} "
            f"({type(error).__name__}): nothing was changed") from error
    _LOG.info("database.migrated", extra={"from": found, "to": to, "copy": str(copy or "")})
    return found, to, copy


def schema_of(connection: Connection) -> str:
    """Give the schema's number, `before` if it has none, empty for an empty database."""
    tables = set(inspect(connection).get_table_names())
    if _VERSION.name in tables:
        return connection.scalar(select(_VERSION.c.version_num)) or BEFORE
    return BEFORE if tables & set(Base.metadata.tables) else ""


def sqlite_path(engine: Engine) -> Path | None:
    """Give the file of an SQLite database, None for another or one in memory."""
    name = engine.url.database
    if engine.dialect.name != "sqlite" or not name or name == ":memory:":
        return None
    return Path(name)


def copy_sqlite(path: Path, target: Path) -> None:
    """Copy an SQLite database that may be in use, whole, as of one moment.

    Raises:
        StoreError: It couldn't be copied.
    """
    part = target.with_name(target.name + ".part")
    try:
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        source, into = sqlite3.connect(path), sqlite3.connect(part)
        try:
            source.backup(into)
        finally:
            into.close()
            source.close()
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path} can't be copied to {target}: {error}") from error


def _run(connection: Connection, found: str, to: str) -> None:
    # Alembic and Mako are some 30 ms and 10 MB that a start without a migration doesn't need.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    back = found in KNOWN and KNOWN.index(to) < KNOWN.index(found)
    (command.downgrade if back else command.upgrade)(config, to)


def _insist_on_columns(connection: Connection, to: str) -> None:
    """Refuse a database whose tables lack columns; the transaction is then undone."""
    if to != HEAD:
        return
    inspector = inspect(connection)
    missing = list(_missing(
        (table.name, {column.name for column in table.columns},
         {column["name"] for column in inspector.get_columns(table.name)})
        for table in Base.metadata.sorted_tables))
    if missing:
        raise StoreError(
            f"the database lacks {', '.join(missing)}: it is of a version that was never released, "
            "or was changed by hand; restore a backup. Nothing was changed")


def _missing(tables: Iterable[tuple[str, set[str], set[str]]]) -> Iterable[str]:
    for name, wanted, held in tables:
        yield from (f"{name}.{column}" for column in sorted(wanted - held))


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": LOCK_ID})


def _refuse_newer(found: str) -> None:
    if found not in (*KNOWN, BEFORE, ""):
        raise StoreError(
            f"the database is of schema {found}, made by a newer version; this one knows up to "
            f"{HEAD}: run the newer version, or restore a backup from before")


def _words(found: str) -> str:
    return "before 0001" if found == BEFORE else found or "none"
