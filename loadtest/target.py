"""Which target may be put under load: this machine, unless somebody names another one.

- A name counts as loopback only if every address it has is.
- Another host must be repeated by `--allow-remote HOST`, so that no typing error loads a
  stranger's machine.
"""

import ipaddress
import socket
from urllib.parse import urlsplit

import msgspec

from loadtest.errors import LoadTestError

_PORTS = {"http": 80, "https": 443}


class Target(msgspec.Struct, frozen=True):
    """A node's address."""

    scheme: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """The address in one text."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_target(
    url: str, allow_remote: str = "", allowing: str = "add --allow-remote "
) -> Target:
    """Parse a node's address and say whether it may be loaded.

    Args:
        url: `http://` or `https://`, host and port.
        allow_remote: The host, said once more, if it isn't this machine.
        allowing: How that is said, for the words of the error.

    Raises:
        LoadTestError: It is no such address, or not this machine and not allowed.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise LoadTestError(f"--target {url}: {error}") from error
    if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/"):
        raise LoadTestError(f"--target {url}: it is written like http://127.0.0.1:8080")
    host = parts.hostname
    if host != allow_remote.lower() and not _is_loopback(host, port):
        raise LoadTestError(
            f"{host} isn't this machine: load is made on loopback only; if {host} is yours and "
            f"may be loaded, {allowing}{host}"
        )
    return Target(parts.scheme, host, port)


def _is_loopback(host: str, port: int) -> bool:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise LoadTestError(f"{host} has no address: {error.strerror}") from error
    return all(ipaddress.ip_address(item[4][0]).is_loopback for item in found)
