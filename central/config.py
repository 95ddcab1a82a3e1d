"""The central platform's configuration: one TOML file, typed."""

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from edge.access.sessions import SESSION_S
from edge.access.tls import Tls
from edge.errors import ConfigError

_Days = Annotated[int, Meta(ge=1, le=400)]


class CentralConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every key with its unit and default.

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
    code_life_s: Annotated[int, Meta(ge=1)] = 3_600
    code_tries_max: Annotated[int, Meta(ge=1)] = 30
    body_bytes_max: Annotated[int, Meta(ge=1024)] = 16 * 1024 * 1024
    tls: Tls = Tls()
    session_s: Annotated[int, Meta(ge=60, le=7 * 86_400)] = SESSION_S
    log_level: Annotated[str, Meta(pattern="^(debug|info|warning|error)$")] = "info"

    @property
    def database_address(self) -> str:
        """Where the database is."""
        return self.database_url or f"sqlite:///{self.data_dir / 'central.db'}"

    @property
    def packs_folder(self) -> Path:
        """Where face packs are."""
        return self.packs_dir or self.data_dir / "packs"


def load_central_config(path: Path | None) -> CentralConfig:
    """Read a configuration; None = defaults.

    Raises:
        ConfigError: What is wrong and where.
    """
    if path is None:
        return CentralConfig()
    try:
        tree = tomllib.loads(path.read_text("utf-8"))
        return msgspec.convert(tree, CentralConfig, strict=False, dec_hook=_decode_path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _decode_path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"expected {kind.__name__}")
