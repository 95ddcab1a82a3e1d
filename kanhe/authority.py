"""`kanhe edge authority` and `kanhe central authority`: what devices install, and from where."""

import argparse
import sys
from pathlib import Path

import orjson
import segno

from edge.access.certificates import server_names
from edge.access.listening import Wire
from edge.access.tls import is_loopback
from edge.errors import ConfigError


def add_authority_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what both commands take."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write its certificate (PEM)")


def show_authority(wire: Wire, port: int, out: Path | None) -> int:
    """Print fingerprint and address of a service's local authority, with a QR code.

    Raises:
        ConfigError: The service has none, or the file can't be written.
    """
    if wire.authority is None:
        raise ConfigError("it serves without a local authority: see tls.mode")
    if out is not None:
        try:
            out.write_bytes(wire.authority.pem)
        except OSError as error:
            raise ConfigError(f"{out}: {error.strerror}") from error
    names = [name for name in server_names(()) if name[0].isdigit() and not is_loopback(name)]
    address = f"https://{(names or ['127.0.0.1'])[0]}:{port}/authority"
    segno.make(address, micro=False).terminal(sys.stderr, compact=True)
    sys.stdout.buffer.write(orjson.dumps({"pin": wire.authority.pin, "install": address}) + b"\n")
    return 0
