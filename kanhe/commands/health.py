"""`kanhe health`: asks the service of this machine whether it is ready; for health checks.

- The certificate isn't judged: it is this machine's own, asked over loopback.
"""

import argparse
import os
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path

from central.config import load_central_config
from edge.access.tls import tls_mode, unchecked_context
from edge.config import load_config

ASK_S_MAX = 2.5
SERVICES = ("edge", "central")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `health`."""
    parser = subparsers.add_parser("health", help="is the service of this machine ready?")
    parser.add_argument("service", nargs="?", choices=SERVICES, default="edge")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file")
    parser.add_argument("--insecure", action="store_true", help="it runs with --insecure")
    parser.set_defaults(run=run_health)


def run_health(args: argparse.Namespace) -> int:
    """Ask `/readyz`; 0 is ready."""
    if args.service == "edge":
        listen = load_config(args.config, os.environ)
        host, port, tls = listen.listen.host, listen.listen.port, listen.tls
    else:
        central = load_central_config(args.config, os.environ)
        host, port, tls = central.host, central.port, central.tls
    scheme = "http" if tls_mode(tls, host, insecure=args.insecure) == "off" else "https"
    here = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - not bound, asked
    asked = here.get(host, f"[{host}]" if ":" in host else host)
    ready, words = ask_ready(f"{scheme}://{asked}:{port}/readyz")
    print(words, file=sys.stderr if not ready else sys.stdout)
    return 0 if ready else 1


def ask_ready(url: str) -> tuple[bool, str]:
    """Ask once; give whether it is ready, and its words."""
    context: ssl.SSLContext | None = unchecked_context() if url.startswith("https") else None
    try:
        with urllib.request.urlopen(url, timeout=ASK_S_MAX, context=context) as response:  # noqa: S310
            return True, response.read(4_096).decode("utf-8", "replace").strip()
    except urllib.error.HTTPError as error:
        return False, error.read(4_096).decode("utf-8", "replace").strip()
    except OSError as error:
        return False, f"{url}: {getattr(error, 'reason', error)}"
