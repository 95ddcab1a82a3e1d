"""Certificates of a local authority: what is in them and whom they may speak for.

- The authority is constrained (RFC 5280 §4.2.1.10) to local names and private addresses.
- Not here: when they are made and renewed (edge.access.tls).
"""

import contextlib
import datetime
import hashlib
import ipaddress
import socket
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.access.addresses import local_addresses
from edge.errors import ConfigError
from edge.files import write_file

AUTHORITY_DAYS = 3_650
SERVER_DAYS = 90
BACKDATED_DAYS = 1
"""A device whose clock is a little behind believes it too."""
LOCAL_DOMAINS = ("localhost", "local", "lan", "internal", "home.arpa")
LOCAL_NETWORKS = (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
    "::1/128", "fc00::/7", "fe80::/10",
)


def make_authority(
    key: ec.EllipticCurvePrivateKey, held: x509.Certificate | None, now: datetime.datetime
) -> x509.Certificate:
    """Make the authority's certificate, or the next one of an authority that is held."""
    label = f"Kanhe local authority ({socket.gethostname()[:32]})"
    name = held.subject if held else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, label)])
    return (
        _builder(name, name, key.public_key(), key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(_constraints(), critical=True)
        .sign(key, hashes.SHA256())
    )


def make_server(
    authority: x509.Certificate, signing: ec.EllipticCurvePrivateKey,
    public: ec.EllipticCurvePublicKey, names: Sequence[str], now: datetime.datetime,
) -> x509.Certificate:
    """Make the certificate of a server that goes by these names."""
    label = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return (
        _builder(label, authority.subject, public, signing.public_key(), now, SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(usage, critical=False)
        .add_extension(alternative_names(names), critical=False)
        .sign(signing, hashes.SHA256())
    )


def alternative_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    """Give names and addresses as a certificate holds them."""
    return x509.SubjectAlternativeName([_general_name(name) for name in names])


def authority_pin(certificate: x509.Certificate) -> str:
    """Give the SHA-256 of a certificate's public key (SPKI), hex."""
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


def server_names(extra: Sequence[str]) -> list[str]:
    """Give the names and addresses that this machine is reached by."""
    host = socket.gethostname().partition(".")[0].lower()
    names = [*extra, "localhost", f"{host}.local", *local_addresses()]
    allowed = [ipaddress.ip_network(network) for network in LOCAL_NETWORKS]
    kept: list[str] = []
    for name in names:
        with contextlib.suppress(ValueError):
            address = ipaddress.ip_address(name)
            if not any(address in network for network in allowed):
                if name in extra:
                    raise ConfigError(_outside(name))
                continue
            kept.append(str(address))
            continue
        if not any(name == domain or name.endswith("." + domain) for domain in LOCAL_DOMAINS):
            raise ConfigError(_outside(name))
        kept.append(name)
    return list(dict.fromkeys(kept))


def _outside(name: str) -> str:
    return (f"tls.names: the local authority can't speak for {name!r}; it may for private "
            f"addresses and names that end in {', '.join(LOCAL_DOMAINS)}. For others use "
            "tls.mode = \"given\"")


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey,
    signing: ec.EllipticCurvePublicKey, now: datetime.datetime, days: int,
) -> x509.CertificateBuilder:
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing)
    return (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
        .public_key(public).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=BACKDATED_DAYS))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(authority, critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False,
        key_cert_sign=signs_certificates, crl_sign=signs_certificates, encipher_only=False,
        decipher_only=False,
    )


def _constraints() -> x509.NameConstraints:
    names: list[x509.GeneralName] = [x509.DNSName(domain) for domain in LOCAL_DOMAINS]
    names += [x509.IPAddress(ipaddress.ip_network(network)) for network in LOCAL_NETWORKS]
    return x509.NameConstraints(permitted_subtrees=names, excluded_subtrees=None)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Give a private key as PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Load a P-256 key, making it if there is none.

    Raises:
        OSError: The file can't be read or made.
        ValueError: It is damaged.
    """
    if not path.exists():
        write_file(path, key_pem(ec.generate_private_key(ec.SECP256R1())), 0o600)
    key = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an EC key")
    return key
