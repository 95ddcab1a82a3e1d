"""The central platform's configuration: one TOML file, typed, every key with unit and bounds.

- `deploy/central.example.toml` shows every key; environment variables named
  `KANHE_CENTRAL__KEY` override the file.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import msgspec
from msgspec import Meta

from edge.access.sessions import SESSION_S
from edge.access.tls import Tls
from edge.preflight import Found, try_folder, try_port, try_tls
from edge.settings import load_settings

ENV_PREFIX = "KANHE_CENTRAL__"
_PASSWORD = re.compile(r"(//[^/@:]*:|[?&]password=)[^@&]*")
_Days = Annotated[int, Meta(ge=1, le=400)]


class CentralConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration.

    Attributes:
        data_dir: Folder of keys and the embedded database.
        database_url: Address like `postgresql://kanhe@db.example/kanhe`; empty = SQLite in the
            data folder.
        database_connections: To PostgreSQL, of this process, beside one that listens.
        host, port: Where it answers; port 0 = any free one.
        port_tries: How many following ports are tried when it is taken.
        packs_dir: Folder of face packs; empty = `packs` in the data folder.
        face_pack: Id of the pack that photographs are enrolled with.
        log: Name of the feed.
        epochs_ahead_days: Key epochs are made this far ahead.
        node_ahead_days: Masters are delivered to nodes this far ahead: the longer, the longer
            a node serves alone, and the more a stolen one can forge.
        wallet_ahead_days: Wallets get keys this far ahead.
        token_days: Life of a node's token; nodes rotate theirs by themselves well before.
        away_days_max: A node whose token expired can come back by its key for so long after it was
            heard last.
        code_life_s: Life of one-time codes in seconds.
        code_tries_max: Wrong codes a minute before all are refused for that minute.
        body_bytes_max: Body of a call in bytes.
        tls: How it is reached; see `edge.access.tls.Tls`.
        session_s: Seconds after which one signs in to the pages again.
        log_level: `debug`, `info`, `warning` or `error`.
    """

    data_dir: Path = Path("var/central")
    database_url: str = ""
    database_connections: Annotated[int, Meta(ge=1, le=100)] = 8
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8090
    port_tries: Annotated[int, Meta(ge=1, le=1000)] = 20
    packs_dir: Path | None = None
    face_pack: str = "dlib-v1"
    log: str = "ningbo"
    epochs_ahead_days: _Days = 7
    node_ahead_days: _Days = 1
    wallet_ahead_days: _Days = 2
    token_days: _Days = 30
    away_days_max: Annotated[int, Meta(ge=1, le=3_650)] = 400
    code_life_s: Annotated[int, Meta(ge=1, le=7 * 86_400)] = 3_600
    code_tries_max: Annotated[int, Meta(ge=1, le=10_000)] = 30
    body_bytes_max: Annotated[int, Meta(ge=1024, le=256 * 1024 * 1024)] = 16 * 1024 * 1024
    tls: Tls = Tls()
    session_s: Annotated[int, Meta(ge=60, le=7 * 86_400)] = SESSION_S
    log_level: Annotated[str, Meta(pattern="^(debug|info|warning|error)$")] = "info"

    @property
    def database_address(self) -> str:
        """Where the database is."""
        return self.database_url or f"sqlite:///{self.data_dir / 'central.db'}"

    def without_secrets(self) -> "CentralConfig":
        """Give it as it may be shown: without the database's password."""
        hidden = _PASSWORD.sub(r"\1***", self.database_url)
        return msgspec.structs.replace(self, database_url=hidden)

    @property
    def packs_folder(self) -> Path:
        """Where face packs are."""
        return self.packs_dir or self.data_dir / "packs"


def load_central_config(
    path: Path | None, environ: Mapping[str, str] = MappingProxyType({})
) -> CentralConfig:
    """Read a configuration; None = defaults.

    Raises:
        ConfigError: What is wrong, where, and what to do.
    """
    return load_settings(CentralConfig, path, environ, ENV_PREFIX)


def check_central(config: CentralConfig) -> Iterator[Found]:
    """Try what a configuration names on this machine."""
    yield from try_folder("data_dir", config.data_dir)
    if config.packs_dir is not None:
        yield from try_folder("packs_dir", config.packs_dir)
    from central.checks import try_database  # SQLAlchemy, which reading a file doesn't need

    yield from try_database(config.database_address)
    yield from try_port("port", config.host, config.port, config.port_tries)
    yield from try_tls(config.tls, config.host)
