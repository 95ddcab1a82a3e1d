"""Where a site's Redis is, and how to sign in there.

- A URL holds no name and no password: it is shown, they aren't.
- Not here: connecting (`link`).
"""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from edge.errors import ConfigError

PASSWORD_VARIABLE = "KANHE_REDIS_PASSWORD"  # noqa: S105 - its name
SENTINEL_VARIABLE = "KANHE_REDIS_SENTINEL_PASSWORD"
PORT = 6379
SENTINEL_PORT = 26379
URL_FORMS = (
    "redis://host:6379/0, unix:///path, redis+sentinel://a:26379,b:26379/service, "
    "redis+cluster://a:6379,b:6379; with TLS rediss://, rediss+sentinel://, rediss+cluster://"
)


class Place(NamedTuple):
    """Where Redis is, as a URL says."""

    kind: str
    tls: bool
    hosts: tuple[tuple[str, int], ...]
    path: str
    """Database number, the service that Sentinel watches, or the socket."""


class LinkOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Where Redis is and how to sign in.

    Attributes:
        authority: PEM file of who vouches for its certificate; None = the system's roots.
        sentinel_password: The sentinels' own, where they ask for one.
    """

    url: str
    username: str = ""
    password: str = ""
    sentinel_password: str = ""
    authority: Path | None = None

    def __repr__(self) -> str:
        """Show where, never how to sign in."""
        return f"LinkOptions(url={self.url!r})"


def parse_url(url: str) -> Place:
    """Read an address.

    Raises:
        ConfigError: It has none of the forms, or holds a password.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigError(f"redis.url has none of the forms {URL_FORMS}") from error
    scheme, _, kind = parts.scheme.partition("+")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            "redis.url: put no name, password or option there, it is shown: use redis.username and "
            f"redis.password_file or the environment variable {PASSWORD_VARIABLE}")
    path = parts.path.strip("/")
    if parts.scheme == "unix" and path:
        return Place("unix", False, (), parts.path)
    port = SENTINEL_PORT if kind == "sentinel" else PORT
    try:
        hosts = tuple(_host(item, port) for item in parts.netloc.split(","))
    except ValueError as error:
        raise ConfigError(f"redis.url: {parts.netloc} has a port that is none") from error
    many = kind in ("sentinel", "cluster")
    if (
        scheme not in ("redis", "rediss") or kind not in ("", "sentinel", "cluster")
        or not all(host for host, _ in hosts) or (len(hosts) > 1 and not many)
        or (kind == "sentinel" and not path) or (kind == "cluster" and path)
        or (not kind and path and not path.isdecimal())
    ):
        raise ConfigError(f"redis.url: {url!r} has none of the forms {URL_FORMS}")
    return Place(kind or "alone", scheme == "rediss", hosts, path)


def _host(item: str, port: int) -> tuple[str, int]:
    """Read `host`, `host:port` or `[v6]:port`."""
    parts = urlsplit(f"//{item}")
    return parts.hostname or "", parts.port or port
