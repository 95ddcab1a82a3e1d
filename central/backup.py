"""One file that a platform can be restored from: database, keys, root and TLS authority.

- Made while the platform runs: SQLite is copied as of one moment, PostgreSQL by `pg_dump`.
- Every part has its SHA-256 in the manifest, which comes first; a restore checks all of it before
  anything is put in its place, and only into an empty folder and an empty database.
- A restored platform has forgotten the changes since the backup, but nodes may hold them. So its
  feed leaps: further changes get numbers that no node has seen, and no node misses one of them.
- The file holds every key of the platform. It isn't encrypted here: it belongs where keys belong.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from sqlalchemy import URL, Connection, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from central.archive import FORMAT, PART_NAME, Manifest, measured, pack, unpack
from central.config import CentralConfig
from central.engine import open_engine, parse_address
from central.keys import PlatformKeys
from central.schema import Act, Counter, FeedChange, KeyEpoch
from central.upgrade import copy_sqlite, prepare, schema_of, sqlite_path
from edge.errors import ConfigError, StoreError
from edge.protocol.feed import EpochsChanged

LEAP_MAX = 10_000_000
ROWS_AT_ONCE = 5_000
_DATABASE = {"sqlite": "central.db", "postgresql": "central.dump"}


def make_backup(config: CentralConfig, target: Path, now: Callable[[], float]) -> Manifest:
    """Write a backup of a platform, running or not.

    Raises:
        ConfigError: The target is there already, or a tool is missing.
        StoreError: Something couldn't be read or written; no file is left.
    """
    if target.exists():
        raise ConfigError(f"{target} is there already: backups aren't overwritten")
    part = target.with_name(target.name + ".part")
    with _staging(target.parent) as stage:
        try:
            schema, head, kind = _dump(config, stage)
            files = _gather(config.data_dir, stage, _DATABASE[kind])
            manifest = Manifest(
                format=FORMAT, kind=kind, schema=schema, log=config.log, made_s=int(now()),
                head=head, parts={name: measured(path) for name, path in files.items()})
            pack(part, manifest, files)
            part.replace(target)
        except OSError as error:
            raise StoreError(f"{target} can't be written: {error.strerror}") from error
        finally:
            part.unlink(missing_ok=True)
    return manifest


def restore_backup(config: CentralConfig, source: Path, leap: int) -> Manifest:
    """Restore a platform into an empty data folder (and, on PostgreSQL, an empty database).

    Args:
        config: Of the platform to be.
        source: The backup.
        leap: Feed numbers left out; more than changes were made since the backup.

    Raises:
        ConfigError: Folder or database isn't empty, or the backup is of another kind.
        StoreError: The backup is damaged, or something couldn't be written; the folder is left as
            it was.
    """
    if not 1 <= leap <= LEAP_MAX:
        raise ConfigError(f"--leap: 1 to {LEAP_MAX}")
    url = parse_address(config.database_address)
    taken = [name for name in ("keys", "tls", "root.envelope", "central.db")
             if (config.data_dir / name).exists()]
    if taken:
        raise ConfigError(f"{config.data_dir} isn't empty ({', '.join(taken)}): restore into an "
                          "empty folder")
    try:
        config.data_dir.mkdir(parents=True, exist_ok=True)
        with _staging(config.data_dir) as stage:
            manifest = unpack(source, stage)
            if manifest.kind != url.get_backend_name():
                raise ConfigError(f"this backup is of {manifest.kind}, database_url is of "
                                  f"{url.get_backend_name()}")
            if manifest.log != config.log:
                raise ConfigError(f"this backup is of the log {manifest.log!r}: say so in `log`")
            _load(url, stage)
            here = url if manifest.kind != "sqlite" else url.set(
                database=str(stage / _DATABASE["sqlite"]))
            _leap(here, PlatformKeys(stage / "keys"), leap)
            (stage / _DATABASE["postgresql"]).unlink(missing_ok=True)
            for path in sorted(stage.iterdir(), reverse=True):
                path.rename(config.data_dir / path.name)
    except OSError as error:
        raise StoreError(f"{config.data_dir} can't be written: {error.strerror}") from error
    return manifest


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """Give a folder of its own on the same disk, for its owner only; gone afterwards."""
    stage = Path(tempfile.mkdtemp(prefix=".kanhe-backup-", dir=folder))
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _dump(config: CentralConfig, stage: Path) -> tuple[str, int, str]:
    """Copy the database; give its schema, its feed's head and its kind."""
    engine = open_engine(parse_address(config.database_address), 1)
    try:
        path = sqlite_path(engine)
        if path is not None and not path.exists():
            raise ConfigError(f"{path} isn't there: does --config name this platform's?")
        with engine.connect() as connection:
            schema, head = schema_of(connection), _head(connection)
        if path is not None:
            copy_sqlite(path, stage / _DATABASE["sqlite"])
        else:
            _run_tool("pg_dump", engine.url, "--format=custom", "--compress=1", "--no-owner",
                      "--no-acl",                      f"--file={stage / _DATABASE['postgresql']}")
        return schema, head, engine.dialect.name
    except SQLAlchemyError as error:
        raise StoreError(f"the database can't be read: {type(error).__name__}") from error
    finally:
        engine.dispose()


def _head(connection: Connection) -> int:
    return connection.scalar(select(Counter.value).where(Counter.name == "changes")) or 0


def _gather(data_dir: Path, stage: Path, database: str) -> dict[str, Path]:
    files = {database: stage / database}
    for path in sorted((*data_dir.glob("keys/*"), *data_dir.glob("tls/*"),
                        data_dir / "root.envelope")):
        name = path.relative_to(data_dir).as_posix()
        if path.is_file() and PART_NAME.fullmatch(name) and not name.endswith(".part"):
            files[name] = path
    return files


def _load(url: URL, stage: Path) -> None:
    """Fill an empty PostgreSQL; SQLite's file is used as it is."""
    if url.get_backend_name() == "sqlite":
        return
    engine = open_engine(url, 1)
    try:
        with engine.connect() as connection:
            if schema_of(connection):
                raise ConfigError("the database isn't empty: restore into a new one")
    except SQLAlchemyError as error:
        raise StoreError(f"the database can't be opened: {type(error).__name__}") from error
    finally:
        engine.dispose()
    _run_tool("pg_restore", url, "--exit-on-error", "--single-transaction", "--no-owner",
              "--no-acl", str(stage / _DATABASE["postgresql"]))


def _leap(url: URL, keys: PlatformKeys, leap: int) -> None:
    """Let the feed go on behind everything that a node may have seen, in one transaction."""
    engine = open_engine(url, 1)
    try:
        prepare(engine)
        with engine.begin() as connection:
            head = _head(connection)
            newest = connection.scalar(select(func.max(KeyEpoch.key_epoch))) or 0
            change = msgspec.msgpack.encode(EpochsChanged(newest))
            for first in range(head, head + leap, ROWS_AT_ONCE):
                connection.execute(insert(FeedChange), [
                    {"number": number, "sealed": keys.seal(f"change/{number}", change)}
                    for number in range(first, min(first + ROWS_AT_ONCE, head + leap))])
            _count_on(connection, head + leap)
            connection.execute(insert(Act).values(
                at_s=int(time.time()), who="administrator", act="platform.restore", subject="",
                reason=f"the feed leaps from {head} to {head + leap}"))
    except SQLAlchemyError as error:
        raise StoreError(f"the restored database can't be used: {type(error).__name__}") from error
    finally:
        engine.dispose()


def _count_on(connection: Connection, value: int) -> None:
    done = connection.execute(
        update(Counter).where(Counter.name == "changes").values(value=value))
    if not done.rowcount:
        connection.execute(insert(Counter).values(name="changes", value=value))


def _run_tool(name: str, url: URL, *arguments: str) -> None:
    """Run one of PostgreSQL's programs; the password goes by the environment."""
    program = shutil.which(name)
    if program is None:
        raise ConfigError(f"{name} isn't installed: it comes with PostgreSQL's client programs "
                          "(Debian: postgresql-client)")
    address = url.set(drivername="postgresql", password=None).render_as_string()
    environment = dict(os.environ)
    if url.password:
        environment["PGPASSWORD"] = str(url.password)
    done = subprocess.run(  # noqa: S603 - the administrator's own database
        [program, f"--dbname={address}", *arguments], env=environment, capture_output=True,
        text=True, check=False)
    if done.returncode != 0:
        raise StoreError(f"{name} failed: {done.stderr.strip()[-400:]}")
