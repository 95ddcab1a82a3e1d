"""How a database is reached, and what its errors mean: the border post of SQLAlchemy.

- SQLite: one connection at a time, WAL, full synchronisation; a transaction is the only writer.
- PostgreSQL (psycopg): REPEATABLE READ, so that a transaction sees one moment, and two that
  change the same row never both succeed. Every wait there has an end.
- No value of a row is in what an error is told as.
"""

from enum import Enum
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, SQLAlchemyError

from edge.errors import ConfigError

BUSY_S = 15
CONNECT_S_MAX = 5
STATEMENT_S_MAX = 30
LOCK_S_MAX = 10
IDLE_S_MAX = 60
DEAD_S_MAX = 15
"""A server that acknowledges nothing for so long is gone (TCP)."""
_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg",
            "postgres": "postgresql+psycopg"}
_GONE = frozenset({"57P01", "57P02", "57P03", "53300", "25006"})
"""Shut down, crashed, starting, full, or a standby now: another moment may be better."""
_MET = frozenset({"40001", "40P01", "23505", "55P03"})
"""Another transaction was faster: serialisation, deadlock, unique key, lock."""


class Trouble(Enum):
    """What a failed transaction can hope for."""

    GONE = "gone"
    """The connection was lost or couldn't be made."""
    MET = "met"
    """It met another transaction."""
    VALUE = "value"
    """A value can't be stored."""
    BROKEN = "broken"
    """Anything else: trying again would fail again."""


def parse_address(address: str) -> URL:
    """Parse `database_url`.

    Raises:
        ConfigError: It isn't the address of a database that the platform runs on.
    """
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        # No cause is kept: its words quote the address, password included.
        raise ConfigError(
            "database_url: not an address like postgresql://kanhe@db.example/kanhe") from None
    known = {*_DRIVERS, *_DRIVERS.values()}
    if url.drivername not in known:
        raise ConfigError(
            f"database_url: the platform runs on sqlite and postgresql, not on {url.drivername}")
    return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))


def open_engine(url: URL, connections: int) -> Engine:
    """Prepare an engine; nothing is connected yet."""
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url)
        event.listen(engine, "connect", _tune_sqlite)
        event.listen(engine, "begin", _begin_immediate)
        return engine
    return create_engine(
        url, pool_size=connections, max_overflow=0, pool_timeout=CONNECT_S_MAX,
        isolation_level="REPEATABLE READ",
        connect_args={
            "connect_timeout": CONNECT_S_MAX, "application_name": "kanhe-central",
            "keepalives_idle": DEAD_S_MAX, "keepalives_interval": 5, "keepalives_count": 2,
            "tcp_user_timeout": DEAD_S_MAX * 1000, "options": " ".join((
                f"-c statement_timeout={STATEMENT_S_MAX}s", f"-c lock_timeout={LOCK_S_MAX}s",
                f"-c idle_in_transaction_session_timeout={IDLE_S_MAX}s")),
        })


def trouble_of(error: SQLAlchemyError) -> Trouble:
    """Say what an error means for the transaction that met it."""
    if isinstance(error, DataError):
        return Trouble.VALUE
    if not isinstance(error, DBAPIError):
        return Trouble.BROKEN
    state = getattr(error.orig, "sqlstate", None)
    if error.connection_invalidated or state in _GONE or (state or "").startswith("08"):
        return Trouble.GONE
    if state in _MET:
        return Trouble.MET
    # A connection that couldn't be made has no state; SQLite's errors have none either.
    refused = state is None and type(error.orig).__module__.startswith("psycopg")
    return Trouble.GONE if refused and "Operational" in type(error).__name__ else Trouble.BROKEN


def _tune_sqlite(connection: Any, _: object) -> None:  # noqa: ANN401 - the driver's own
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_S * 1000}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Any) -> None:  # noqa: ANN401 - the driver's own
    connection.exec_driver_sql("BEGIN IMMEDIATE")
