"""The node's configuration: one TOML file, typed, every key with unit, default and bounds.

- `deploy/edge.example.toml` shows every key; environment variables named
  `KANHE_EDGE__SECTION__KEY` override the file.
- A wrong key or value is a `ConfigError` that names it and says what to do.
"""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from edge.access.sessions import SESSION_S
from edge.access.tls import Tls
from edge.errors import ConfigError

ENV_PREFIX = "KANHE_EDGE__"
_Port = Annotated[int, Meta(ge=0, le=65_535)]
_Positive = Annotated[int, Meta(ge=1)]
_Seconds = Annotated[float, Meta(gt=0)]


class Listen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the node answers.

    Attributes:
        host: Address; the default is reached from this machine only.
        port: TCP port; 0 = any free one.
        port_tries: How many following ports are tried when it is taken.
    """

    host: str = "127.0.0.1"
    port: _Port = 8080
    port_tries: Annotated[int, Meta(ge=1, le=1000)] = 20


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of one call.

    Attributes:
        body_bytes_max: Body of a call in bytes.
        body_s_max: Seconds in which a body must have arrived.
        deadline_s: Seconds after which no work is begun for a call.
        image_bytes_max: One encoded image in bytes.
        image_pixels_max: Width × height of one image.
        face_images_max: Frames of one burst.
        code_budget_s: Seconds spent on reading one frame.
    """

    body_bytes_max: _Positive = 16 * 1024 * 1024
    body_s_max: _Seconds = 15.0
    deadline_s: _Seconds = 5.0
    image_bytes_max: _Positive = 12 * 1024 * 1024
    image_pixels_max: _Positive = 40_000_000
    face_images_max: Annotated[int, Meta(ge=1, le=16)] = 8
    code_budget_s: _Seconds = 0.25


class Workers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Threads and queues of blocking work.

    Attributes:
        code_threads, face_threads: Frames read and faces judged at once.
        code_waiting_max, face_waiting_max: How many more may wait.
    """

    code_threads: Annotated[int, Meta(ge=1, le=64)] = 1
    face_threads: Annotated[int, Meta(ge=1, le=64)] = 2
    code_waiting_max: _Positive = 64
    face_waiting_max: _Positive = 32


class Keys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ring of key epochs, in days beside today.

    Attributes:
        days_back: Past days kept, so that a late code is told from a foreign one.
        days_ahead: Coming days the node asks for when it lacks them.
    """

    days_back: Annotated[int, Meta(ge=1, le=30)] = 1
    days_ahead: Annotated[int, Meta(ge=1, le=365)] = 1


class Journal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of the journal.

    Attributes:
        segment_bytes: Size at which a segment ends.
        retire_days: Age after which acknowledged segments are removed.
        answers_kept_s: Seconds for which a request_id gives the same answer.
    """

    segment_bytes: Annotated[int, Meta(ge=64 * 1024)] = 32 * 1024 * 1024
    retire_days: _Positive = 90
    answers_kept_s: _Seconds = 600.0


class Central(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The central platform.

    Attributes:
        url: Its address; set by enrolment if empty here.
        authority: PEM file of the authority that its certificate is from; enrolment learns a local
            one by itself.
        poll_s: Seconds a feed call waits for a change.
    """

    url: str = ""
    authority: Path | None = None
    poll_s: Annotated[int, Meta(ge=1, le=55)] = 25


class SignInConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Signing in to the node's pages.

    Attributes:
        session_s: Seconds after which one signs in again.
    """

    session_s: Annotated[int, Meta(ge=60, le=7 * 86_400)] = SESSION_S


class EdgeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration.

    Attributes:
        data_dir: Folder of key, cache, guard and journal.
        packs_dir: Folder of face packs; empty = `packs` in the data folder.
        face_pack: Id of the pack in use.
        face_pack_previous: Pack to go on with until as many references of `face_pack` are held.
        log_level: `debug`, `info`, `warning` or `error`.
    """

    data_dir: Path = Path("var/edge")
    packs_dir: Path | None = None
    face_pack: str = "dlib-v1"
    face_pack_previous: str = ""
    log_level: Annotated[str, Meta(pattern="^(debug|info|warning|error)$")] = "info"
    listen: Listen = Listen()
    tls: Tls = Tls()
    signin: SignInConfig = SignInConfig()
    limits: Limits = Limits()
    workers: Workers = Workers()
    keys: Keys = Keys()
    journal: Journal = Journal()
    central: Central = Central()

    @property
    def packs_folder(self) -> Path:
        """Where face packs are."""
        return self.packs_dir or self.data_dir / "packs"


def load_config(path: Path | None, environ: Mapping[str, str]) -> EdgeConfig:
    """Read a configuration.

    Args:
        path: A TOML file; None = defaults.
        environ: Environment variables that override it.

    Raises:
        ConfigError: What is wrong, where, and what to do.
    """
    tree: dict[str, object] = {}
    if path is not None:
        try:
            tree = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} isn't TOML: {error}") from error
    for name, value in environ.items():
        if name.startswith(ENV_PREFIX):
            _set(tree, name.removeprefix(ENV_PREFIX).lower().split("__"), value)
    _check_names(tree, EdgeConfig, "")
    try:
        return msgspec.convert(tree, EdgeConfig, strict=False, dec_hook=decode_path)
    except msgspec.ValidationError as error:
        where = str(path) if path else "the configuration"
        raise ConfigError(f"{where}: {error}") from error


def decode_path(kind: type, value: object) -> object:
    """Read a path of a configuration; what msgspec doesn't know by itself."""
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"expected {kind.__name__}")


def _set(tree: dict[str, object], keys: list[str], value: str) -> None:
    node = tree
    for key in keys[:-1]:
        child = node.setdefault(key, {})
        if not isinstance(child, dict):
            raise ConfigError(f"{ENV_PREFIX}{'__'.join(keys).upper()}: {key} isn't a section")
        node = child
    node[keys[-1]] = value


def _check_names(tree: Mapping[str, object], struct: type[msgspec.Struct], where: str) -> None:
    """Refuse unknown keys, naming the nearest known one."""
    fields = {field.name: field for field in msgspec.structs.fields(struct)}
    for name, value in tree.items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(fields)}"
            raise ConfigError(f"unknown key {where + name!r}{hint}")
        kind = fields[name].type
        if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            _check_names(value, kind, f"{where}{name}.")
