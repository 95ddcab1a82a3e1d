"""Who calls: gates by bearer credential, nothing else.

- A credential is `<gate id>.<base64url of 32 bytes>`; the node holds SHA-256 of the bytes.
- Compared in constant time; a revoked gate isn't in the trust any more.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

from edge.protocol.records import GateRecord
from edge.web.problems import unknown_gate

SECRET_BYTES = 32
_HEADER_CHARS_MAX = 256
_NOBODY = hashlib.sha256(b"").digest()


def authenticate(header: str | None, gates: Mapping[str, GateRecord]) -> GateRecord:
    """Find the gate of an `Authorization` header.

    Raises:
        Problem: 401; it never says which part was wrong.
    """
    if header is None or len(header) > _HEADER_CHARS_MAX or not header.startswith("Bearer "):
        raise unknown_gate()
    gate_id, _, secret = header[7:].strip().partition(".")
    try:
        found = hashlib.sha256(base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))).digest()
    except (binascii.Error, ValueError):
        raise unknown_gate() from None
    gate = gates.get(gate_id)
    if not hmac.compare_digest(found, gate.secret_hash if gate else _NOBODY) or gate is None:
        raise unknown_gate()
    return gate
