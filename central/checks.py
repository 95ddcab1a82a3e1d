"""Trying the database that a configuration names, before the platform is started."""

from collections.abc import Iterator

from sqlalchemy.exc import SQLAlchemyError

from central.engine import open_engine, parse_address
from central.migrations import HEAD, KNOWN
from central.upgrade import schema_of, sqlite_path
from edge.errors import ConfigError
from edge.preflight import Found

KEY = "database_url"


def try_database(address: str) -> Iterator[Found]:
    """Connect and look at the schema; nothing is made or changed."""
    try:
        engine = open_engine(parse_address(address), 1)
    except ConfigError as error:
        yield Found("error", KEY, str(error).removeprefix(f"{KEY}: "))
        return
    path = sqlite_path(engine)
    if path is not None and not path.exists():
        return
    try:
        with engine.connect() as connection:
            found = schema_of(connection)
    except SQLAlchemyError as error:
        yield Found("error", KEY, f"the database can't be reached ({type(error).__name__}): is its "
                    "server running, do user and password hold?")
        return
    finally:
        engine.dispose()
    if found == "":
        yield Found("note", KEY, "the database is empty: its tables will be made")
    elif found not in (*KNOWN, "before"):
        yield Found("error", KEY, f"the database is of schema {found}, of a newer version")
    elif found != HEAD and path is not None:
        yield Found("note", KEY, f"the database is of schema {found}: it will be brought to {HEAD} "
                    "at the start, with a copy beside it")
    elif found != HEAD:
        yield Found("error", KEY, f"the database is of schema {found}, this version needs {HEAD}: "
                    "make a backup, then run `kanhe central migrate`")
