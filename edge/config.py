"""The node's configuration: one TOML file, typed, every key with unit, default and bounds.

- `deploy/edge.example.toml` shows every key; environment variables named
  `KANHE_EDGE__SECTION__KEY` override the file.
- A wrong key or value is a `ConfigError` that names it and says what to do.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from edge.access.sessions import SESSION_S
from edge.access.tls import Tls
from edge.holding_config import Holding, wrong_holding
from edge.preflight import Found, try_file, try_folder, try_package, try_port, try_tls
from edge.settings import load_settings

ENV_PREFIX = "KANHE_EDGE__"
DEFAULT_PACK = "dlib-v1"
"""The pack that every node makes for itself."""
_Port = Annotated[int, Meta(ge=0, le=65_535)]
_Waiting = Annotated[int, Meta(ge=1, le=10_000)]
_MIB = 1024 * 1024


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
        deadline_s: Seconds after which a call isn't answered with 200 any more; work that can't be
            done by then isn't begun.
        image_bytes_max: One encoded image in bytes.
        image_pixels_max: Width × height of one image.
        face_images_max: Frames of one burst.
        code_budget_s: Seconds spent on reading one frame.
        gate_rate_per_s: Calls a second that one gate may make for ever; what is more is 429.
        gate_burst: Calls that it may make at once.
        gate_rate_max_per_s: Calls a second that the central platform may allow a gate in its stead;
            what it may make at once grows and shrinks with that.
    """

    body_bytes_max: Annotated[int, Meta(ge=1024, le=256 * _MIB)] = 16 * 1024 * 1024
    body_s_max: Annotated[float, Meta(gt=0, le=300)] = 15.0
    deadline_s: Annotated[float, Meta(gt=0, le=60)] = 5.0
    image_bytes_max: Annotated[int, Meta(ge=1024, le=128 * _MIB)] = 12 * 1024 * 1024
    image_pixels_max: Annotated[int, Meta(ge=10_000, le=200_000_000)] = 40_000_000
    face_images_max: Annotated[int, Meta(ge=1, le=16)] = 8
    code_budget_s: Annotated[float, Meta(gt=0, le=5)] = 0.25
    gate_rate_per_s: Annotated[float, Meta(gt=0, le=1_000_000)] = 500.0
    gate_burst: Annotated[int, Meta(ge=1, le=1_000_000)] = 1_000
    gate_rate_max_per_s: Annotated[float, Meta(gt=0, le=1_000_000)] = 2_000.0


class Workers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Processes, and threads and queues of blocking work.

    Attributes:
        processes: Processes that share the port; the further ones answer codes, in scenes without a
            face.
        code_threads: Frames read for a code at once.
        face_threads: Faces judged at once.
        code_waiting_max: How many more frames may wait to be read.
        face_waiting_max: How many more faces may wait to be judged.
    """

    processes: Annotated[int, Meta(ge=1, le=64)] = 1
    code_threads: Annotated[int, Meta(ge=1, le=64)] = 1
    face_threads: Annotated[int, Meta(ge=1, le=64)] = 2
    code_waiting_max: _Waiting = 64
    face_waiting_max: _Waiting = 32


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
        retire_days: Age after which segments are removed that the central platform holds and
            counter-signed.
        checkpoint_s: Longest that a record waits for a signed checkpoint.
        disk_bytes_max: Bytes of all segments; at the bound such segments go whatever their age, and
            where there are none the node stops accepting.
        disk_reserve_bytes: Bytes of its disk that must stay free; the same happens below it.
        answers_kept_s: Seconds for which a request_id gives the same answer.
    """

    segment_bytes: Annotated[int, Meta(ge=64 * 1024, le=1024 * _MIB)] = 32 * 1024 * 1024
    retire_days: Annotated[int, Meta(ge=1, le=3_650)] = 90
    checkpoint_s: Annotated[float, Meta(ge=0.1, le=86_400)] = 60.0
    disk_bytes_max: Annotated[int, Meta(ge=1024 * 1024, le=1024 * 1024 * _MIB)] = 8 * 1024**3
    disk_reserve_bytes: Annotated[int, Meta(ge=0, le=1024 * 1024 * _MIB)] = 64 * 1024**2
    answers_kept_s: Annotated[float, Meta(gt=0, le=86_400)] = 600.0


class Central(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The central platform.

    Attributes:
        url: Its address; set by enrolment if empty here.
        authority: PEM file of the authority that its certificate is from; enrolment learns a local
            one by itself.
        poll_s: Seconds a feed call waits for a change.
        lookup_ms: Milliseconds that a verification waits for a credential the node doesn't hold;
            0 = it isn't asked for.
    """

    url: str = ""
    authority: Path | None = None
    poll_s: Annotated[int, Meta(ge=1, le=55)] = 25
    lookup_ms: Annotated[int, Meta(ge=0, le=5_000)] = 0


class Redis(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the nodes of one site share through a Redis of that site; see docs/redis.md.

    Attributes:
        url: Its address, without name or password; empty = this node is on its own.
        key_file: The site's key, the same 32 bytes at each of its nodes; `kanhe edge site-key`
            makes one.
        prefix: Begins every name in Redis; one for each site that shares a server with others.
        deadline_ms: Milliseconds that a verdict waits for Redis before the node's own guard counts
            alone.
        username: Whom to sign in as; empty = Redis' default user.
        password_file: File that holds the password; else it is taken from the environment variable
            `KANHE_REDIS_PASSWORD`, if there is one.
        sentinel_password_file: Likewise for the sentinels, else `KANHE_REDIS_SENTINEL_PASSWORD`.
        authority: PEM file of the authority that Redis' certificate is from; the system's if empty.
    """

    url: str = ""
    key_file: Path | None = None
    prefix: Annotated[str, Meta(
        pattern="^[A-Za-z0-9:_.-]+$", max_length=64,
        description="letters, digits and : _ . - without spaces, 64 at most")] = "kanhe"
    deadline_ms: Annotated[int, Meta(ge=1, le=1_000)] = 25
    username: str = ""
    password_file: Path | None = None
    sentinel_password_file: Path | None = None
    authority: Path | None = None


class SignInConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Signing in to the node's pages.

    Attributes:
        session_s: Seconds after which one signs in again.
    """

    session_s: Annotated[int, Meta(ge=60, le=7 * 86_400)] = SESSION_S


class TracingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Traces for OpenTelemetry; off unless an address is given.

    Attributes:
        otlp_endpoint: Where traces are sent over OTLP/HTTP, such as
            `http://127.0.0.1:4318/v1/traces`; empty = off. Needs the extra `tracing`.
        ratio: Share of verifications that become traces; a gate's own `traceparent` decides
            instead where it sends one.
        traces_max_per_s: How many become traces in a second at most.
        waiting_spans_max: Spans that may wait to be sent; what is more is dropped.
        batch_s_max: Seconds that sending a batch may take; what isn't taken by then is dropped.
    """

    otlp_endpoint: Annotated[str, Meta(
        pattern="^(https?://\\S+)?$",
        description="an address that begins with http:// or https://, or nothing")] = ""
    ratio: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.01
    traces_max_per_s: Annotated[int, Meta(ge=1, le=1_000)] = 20
    waiting_spans_max: Annotated[int, Meta(ge=64, le=65_536)] = 2_048
    batch_s_max: Annotated[float, Meta(gt=0, le=60)] = 5.0


class EdgeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration.

    Attributes:
        data_dir: Folder of key, cache, guard and journal.
        packs_dir: Folder of face packs; empty = `packs` in the data folder.
        face_pack: Id of the pack in use, or the path of its folder.
        pad_pack: The pack whose PAD models are used beside it, likewise; empty = the face pack's
            own, if it has any.
        face_pack_previous: Pack to go on with until as many references of `face_pack` are held.
        log_level: `debug`, `info`, `warning` or `error`.
    """

    data_dir: Path = Path("var/edge")
    packs_dir: Path | None = None
    face_pack: str = DEFAULT_PACK
    pad_pack: str = ""
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
    tracing: TracingConfig = TracingConfig()
    holding: Holding = Holding()
    redis: Redis = Redis()

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
    return load_settings(EdgeConfig, path, environ, ENV_PREFIX)


def check_edge(config: EdgeConfig) -> Iterator[Found]:
    """Try what a configuration names on this machine."""
    yield from try_folder("data_dir", config.data_dir)
    if config.packs_dir is not None:
        yield from try_folder("packs_dir", config.packs_dir)
    if config.face_pack != DEFAULT_PACK and not (config.packs_folder / config.face_pack).is_dir():
        yield Found("error", "face_pack", f"there is no pack {config.face_pack!r} in "
                    f"{config.packs_folder}")
    listen = config.listen
    yield from try_port("listen.port", listen.host, listen.port, listen.port_tries)
    yield from try_tls(config.tls, listen.host)
    yield from try_file("central.authority", config.central.authority)
    if config.tracing.otlp_endpoint:
        yield from try_package(
            "tracing.otlp_endpoint", "opentelemetry.exporter.otlp.proto.http", "tracing")
    yield from _at_odds(config.limits)
    wrong = wrong_holding(config.holding, config.central.lookup_ms)
    if wrong is not None:
        yield Found("error", *wrong)
    for name in ("key_file", "password_file", "sentinel_password_file", "authority"):
        yield from try_file(f"redis.{name}", getattr(config.redis, name))
    if config.redis.url and config.redis.key_file is None:
        yield Found("error", "redis.key_file", "redis.url needs the site's key: make it with "
                    "kanhe edge site-key FILE, and copy it to the site's other nodes")
    if not (config.data_dir / "cache").is_dir():
        yield Found("note", "data_dir", "this node isn't enrolled yet: kanhe edge enrol")


def _at_odds(limits: Limits) -> Iterator[Found]:
    """Say which bounds make others moot."""
    if limits.image_bytes_max > limits.body_bytes_max:
        yield Found("note", "limits.image_bytes_max", "no image is larger than the body that "
                    f"brings it: limits.body_bytes_max is {limits.body_bytes_max:,}")
    if limits.code_budget_s > limits.deadline_s:
        yield Found("note", "limits.code_budget_s", "a frame isn't read for longer than the call "
                    f"has: limits.deadline_s is {limits.deadline_s:g}")
    if limits.gate_rate_per_s > limits.gate_rate_max_per_s:
        yield Found("note", "limits.gate_rate_max_per_s", "a gate with a rate of its own may call "
                    "less often than one without: limits.gate_rate_per_s is "
                    f"{limits.gate_rate_per_s:g}")
