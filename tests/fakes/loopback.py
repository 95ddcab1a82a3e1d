"""Ports for servers that tests start, and start again where they were.

- Below those that Linux gives to outgoing connections (from 32,768 on), so that nobody is given a
  port whose server is stopped for a moment.
- Tests that run side by side have a range each.
"""

import itertools
import os
import socket

FIRST, APART = 20_000, 1_000
RANGES = 12
_range = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % RANGES
_numbers = itertools.cycle(range(FIRST + APART * _range, FIRST + APART * (_range + 1)))


def free_port() -> int:
    """Give one that nobody holds; another at every call."""
    for port in itertools.islice(_numbers, APART):
        with socket.socket() as probe:
            # A server that was just stopped may leave connections behind that end by themselves.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise OSError(f"{APART} ports from {FIRST} on are taken")
