"""Looking up at the central platform: what a node asks for by name, and the signed answer.

- A node that holds only what it was told of asks by credential id (a code was shown) or by document
  number (a list of arrivals).
- The answer names what was asked and to whom it goes, so that it stands for nothing else.
"""

import msgspec

from edge.protocol.feed import Change

ASKED_MAX = 50
NUMBER_CHARS_MAX = 64
CHANGES_MAX = 5_000
LIFE_S = 30
"""How long an answer may be believed."""


class LookupRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for; ids are 16 bytes (base64 in JSON)."""

    credential_ids: tuple[bytes, ...] = ()
    numbers: tuple[str, ...] = ()


class LookedUp(msgspec.Struct, frozen=True, tag="looked_up", kw_only=True):
    """What is held of them, as changes that put; signed by the role `changes`.

    Attributes:
        node_id: Who asked.
        asked: Digest of the request, see `asked_digest`.
        found: How many of those asked for are known.
        changes: Credentials and references (sealed, their number is their place here), and status.
    """

    format: int
    log: str
    node_id: str
    asked: bytes
    issued_s: int
    expires_s: int
    found: int
    changes: tuple[Change, ...]


def lookup_log(log: str, node_id: str) -> str:
    """Give the name that sealed changes of an answer are bound to."""
    return f"{log}/lookup/{node_id}"
