"""TLS for a site without a public name: a local authority that makes and renews itself.

- The authority's key never leaves its folder. Its certificate is what devices install; it is
  constrained (RFC 5280 §4.2.1.10) to local names and private addresses, so that it can't speak
  for anything on the Internet.
- The server's certificate lives 90 days and is renewed after 60, or when the machine's names or
  addresses change, in the running process. The authority is renewed under the same key.
- A certificate that is given in the configuration is used as it is, and read again when it changes.
- Clear HTTP is for loopback; beyond it only when somebody insists.
"""

import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from edge.access.certificates import (
    alternative_names,
    authority_pin,
    key_pem,
    load_key,
    make_authority,
    make_server,
    server_names,
)
from edge.errors import ConfigError, KeyFileError
from edge.files import write_file

AUTHORITY_RENEW_DAYS = 365
SERVER_RENEW_DAYS = 30
RENEW_EVERY_S = 3_600.0
Mode = Literal["auto", "local", "given", "off"]


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a service is reached.

    Attributes:
        mode: `auto` = the local authority beyond loopback, clear HTTP on it; `local` = always the
            local authority; `given` = `certificate` and `key`; `off` = clear HTTP.
        certificate: PEM file, the server's first, then those that lead to its authority.
        key: PEM file of its private key, without a password.
        names: Further DNS names and addresses that clients use for this machine.
    """

    mode: Mode = "auto"
    certificate: Path | None = None
    key: Path | None = None
    names: tuple[str, ...] = ()


def is_loopback(host: str) -> bool:
    """Tell whether an address to listen on is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def tls_mode(tls: Tls, host: str, *, insecure: bool) -> Literal["local", "given", "off"]:
    """Decide how to serve.

    Raises:
        ConfigError: It would be clear HTTP beyond loopback, or a file isn't named.
    """
    mode = tls.mode
    if insecure:
        return "off"
    if mode == "auto":
        mode = "given" if tls.certificate else "off" if is_loopback(host) else "local"
    if mode == "off" and not is_loopback(host):
        raise ConfigError(
            f"clear HTTP on {host} would show gate credentials to the whole network: set "
            "tls.mode = \"local\", or insist with --insecure")
    if mode == "given" and (tls.certificate is None or tls.key is None):
        raise ConfigError("tls.mode = \"given\" needs tls.certificate and tls.key")
    return mode


class LocalAuthority:
    """The authority of one service and the server certificate that it gives."""

    def __init__(self, folder: Path, names: Sequence[str], now: datetime.datetime) -> None:
        """Load both, making or renewing what is missing or old.

        Raises:
            ConfigError: A name lies outside what the authority may speak for.
            KeyFileError: A file can't be read or written.
        """
        self._folder = folder
        self._names = tuple(dict.fromkeys(names))
        self.context = server_context()
        self.certificate: x509.Certificate
        self.renew(now)

    def renew(self, now: datetime.datetime) -> bool:
        """Make what is missing, old or for other names; tell whether anything changed."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            key = load_key(self._folder / "authority.key")
            changed = self._ensure_authority(key, now)
            changed = self._ensure_server(key, now, changed)
            self.context.load_cert_chain(self._folder / "server.crt", self._folder / "server.key")
        except OSError as error:
            raise KeyFileError(f"{self._folder}: {error.strerror or error}") from error
        except ValueError as error:
            raise KeyFileError(
                f"{self._folder} holds a damaged certificate or key: remove the folder, start "
                "again and install the new authority on the devices") from error
        return changed

    @property
    def pem(self) -> bytes:
        """The authority's certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        """The authority's certificate as devices install it."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pin(self) -> str:
        """SHA-256 of the authority's public key, hex; stays when it is renewed."""
        return authority_pin(self.certificate)

    def _ensure_authority(self, key: ec.EllipticCurvePrivateKey, now: datetime.datetime) -> bool:
        path = self._folder / "authority.crt"
        held = None
        if path.exists():
            self.certificate = held = x509.load_pem_x509_certificate(path.read_bytes())
            if held.not_valid_after_utc - now > datetime.timedelta(days=AUTHORITY_RENEW_DAYS):
                return False
        self.certificate = make_authority(key, held, now)
        write_file(path, self.pem, 0o644)
        return True

    def _ensure_server(
        self, authority: ec.EllipticCurvePrivateKey, now: datetime.datetime, anew: bool
    ) -> bool:
        path = self._folder / "server.crt"
        names = server_names(self._names)
        if path.exists() and not anew:
            held = x509.load_pem_x509_certificate(path.read_bytes())
            found = held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            left = held.not_valid_after_utc - now
            if left > datetime.timedelta(days=SERVER_RENEW_DAYS) and (
                found == alternative_names(names)
            ):
                return False
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = make_server(self.certificate, authority, key.public_key(), names, now)
        write_file(self._folder / "server.key", key_pem(key), 0o600)
        write_file(path, certificate.public_bytes(Encoding.PEM) + self.pem, 0o644)
        return True


class GivenCertificate:
    """A certificate from the configuration, read again when its file changes."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Load it.

        Raises:
            ConfigError: It can't be read, or the key isn't its.
        """
        self._certificate, self._key = certificate, key
        self.context = server_context()
        self._mark = 0
        self.renew()

    def renew(self) -> bool:
        """Read the files again if they changed; tell whether they did."""
        try:
            mark = self._certificate.stat().st_mtime_ns ^ self._key.stat().st_mtime_ns
            if mark == self._mark:
                return False
            self.context.load_cert_chain(self._certificate, self._key)
            self._mark = mark
        except OSError as error:  # an ssl.SSLError is one
            raise ConfigError(f"{self._certificate} with {self._key} can't be used: "
                              f"{error.strerror or error}") from error
        return True


def server_context() -> ssl.SSLContext:
    """Make a server's context: TLS 1.2 or newer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def unchecked_context() -> ssl.SSLContext:
    """Make a client's context that believes anybody: only to fetch what a pin then decides on."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def pin_holds(authority_pem: bytes, pin: str) -> bool:
    """Tell whether a certificate is of the authority with this pin (SHA-256 of its SPKI, hex)."""
    try:
        certificate = x509.load_pem_x509_certificate(authority_pem)
    except ValueError:
        return False
    return authority_pin(certificate) == pin.strip().lower()


def client_context(authority_pem: bytes | None) -> ssl.SSLContext:
    """Make a client's context that believes one local authority, or the system's roots.

    Raises:
        ConfigError: It isn't a certificate.
    """
    try:
        if authority_pem is None:
            return ssl.create_default_context()
        return ssl.create_default_context(cadata=authority_pem.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise ConfigError("the authority isn't a PEM certificate") from error
