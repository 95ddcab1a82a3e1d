"""Sessions: a signed cookie that says who signed in, as what, until when.

- HMAC-SHA-256 over the claims; nothing is kept, so any process of a service can read one.
- A session ends by time, or when its account's generation rises (sign-out, new password).
- The CSRF token of a session is derived from it; a page sends it with whatever changes something.
- `seal_claims`/`open_claims` do the same for other small signed values (a desk's lock).
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import TypeVar

import msgspec

from edge.access.accounts import Account, Role

SESSION_S = 12 * 3_600
"""A long shift."""
TOKEN_CHARS_MAX = 1_024
_T = TypeVar("_T", bound=msgspec.Struct)


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Who signed in.

    Attributes:
        id: Random, 16 hex characters; names the session in records.
        name, role, generation: Of the account, when it signed in.
        issued_s, expires_s: Unix seconds.
    """

    id: str
    name: str
    role: Role
    generation: int
    issued_s: int
    expires_s: int


class Sessions:
    """Makes and reads session cookies under one key."""

    def __init__(self, key: bytes, session_s: int = SESSION_S) -> None:
        """Take a 32-byte key and the life of a session in seconds."""
        self._key, self._session_s = key, session_s

    @property
    def session_s(self) -> int:
        """Life of a session in seconds."""
        return self._session_s

    def begin(self, account: Account, now: float) -> tuple[Session, str]:
        """Begin a session; give it and its cookie."""
        session = Session(
            id=secrets.token_hex(8), name=account.name, role=account.role,
            generation=account.generation, issued_s=int(now),
            expires_s=int(now) + self._session_s,
        )
        return session, seal_claims(self._key, session)

    def read(self, cookie: str, now: float) -> Session | None:
        """Give the session of a cookie, None if it isn't one or has run out."""
        session = open_claims(self._key, cookie, Session)
        return session if session is not None and session.expires_s > now else None

    def csrf_token(self, session: Session) -> str:
        """Give the token that a page of this session sends along."""
        mac = hmac.digest(self._key, b"csrf\0" + session.id.encode(), "sha256")
        return mac[:16].hex()


def seal_claims(key: bytes, claims: msgspec.Struct) -> str:
    """Sign a small value; readable by whoever has it, made only with the key."""
    body = msgspec.json.encode(claims)
    mac = hmac.digest(key, _context(type(claims)) + body, "sha256")
    return base64.urlsafe_b64encode(mac + body).decode().rstrip("=")


def open_claims(key: bytes, text: str, kind: type[_T]) -> _T | None:
    """Give the value of a signed text, None if it was altered or is something else."""
    if len(text) > TOKEN_CHARS_MAX:
        return None
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    mac, body = raw[: hashlib.sha256().digest_size], raw[hashlib.sha256().digest_size :]
    if not hmac.compare_digest(mac, hmac.digest(key, _context(kind) + body, "sha256")):
        return None
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError:
        return None


def _context(kind: type[msgspec.Struct]) -> bytes:
    """Keep one kind of claim from standing in for another."""
    return f"kanhe/claims/{kind.__name__}\0".encode()
