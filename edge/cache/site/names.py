"""The site's key, and how things are called and written in Redis under it.

- Ids are hidden by a keyed permutation: no credential, gate or request can be read from a name.
- Values that scripts compare carry their number in clear and a tag over name and content; other
  values are sealed (AES-256-GCM) and bound to their name. Nothing without the key is believed.
- Everything lies in one of `SHARDS` hash slots, each with a mark of its own, so that a script
  finds both on one server of a Cluster.
"""

import hmac
import os
import struct

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edge.cache.sealing import NONCE_BYTES, IdHider

SHARDS = 16
TAG_BYTES = 16
RUN_CHARS = 40
"""A server's `run_id`, which every start draws anew."""
_SPENT_BYTES = 10 + 16 + TAG_BYTES
_MARK_BYTES = RUN_CHARS + 10 + TAG_BYTES
_HINT = struct.Struct(">16sQ")


class Mark(msgspec.Struct, frozen=True):
    """Since when a shard's memory is whole.

    Attributes:
        run: The server's, when that began; under another run something may be missing.
        floor: Every step up to it may have been spent before; a later one can't have been.
    """

    run: bytes
    floor: int


class SiteKey:
    """Names, tags and seals of one site under one prefix."""

    def __init__(self, secret: bytes, prefix: str) -> None:
        """Derive from the site's 32 bytes."""
        self._secret, self._prefix = secret, prefix
        self._hider = IdHider(self._derive, b"ids")
        self._tag_key = self._derive(b"tags")
        self._aead = AESGCM(self._derive(b"values"))
        self.channel = f"{prefix}:wake"

    def hide(self, id_: bytes) -> bytes:
        """Give what stands for a 16-byte id."""
        return self._hider.hide(id_)

    def spent_names(self, hidden: bytes) -> tuple[str, str]:
        """Name a credential's highest spent step, and the mark that vouches for it."""
        shard = hidden[0] % SHARDS
        return f"{self._prefix}:{{{shard}}}:spent:{hidden.hex()}", self.mark_name(shard)

    def value_name(self, kind: str, hidden: bytes) -> str:
        """Name a sealed value."""
        return f"{self._prefix}:{{{hidden[0] % SHARDS}}}:{kind}:{hidden.hex()}"

    def mark_name(self, shard: int) -> str:
        """Name a shard's mark; other sites' nodes under the same prefix meet there."""
        return f"{self._prefix}:{{{shard}}}:mark"

    def write_spent(self, name: str, step: int, showing: bytes) -> bytes:
        """Give the value of a spent step; `showing` is hidden."""
        body = b"%010d" % step + showing
        return body + self._tag(name, body)

    def read_spent(self, name: str, value: bytes) -> tuple[int, bytes] | None:
        """Give step and hidden showing, None if it isn't the site's."""
        body = self._body(name, value, _SPENT_BYTES)
        return None if body is None else (int(body[:10]), body[10:])

    def write_mark(self, name: str, mark: Mark) -> bytes:
        """Give the value of a mark."""
        body = mark.run + b"%010d" % mark.floor
        return body + self._tag(name, body)

    def read_mark(self, name: str, value: bytes) -> Mark | None:
        """Give a mark, None if it isn't the site's."""
        body = self._body(name, value, _MARK_BYTES)
        return None if body is None else Mark(body[:RUN_CHARS], int(body[RUN_CHARS:]))

    def write_hint(self, sender: bytes, cursor: int) -> bytes:
        """Give a wake-up: who sends it (16 bytes), and how far the sender holds the feed."""
        body = _HINT.pack(sender, cursor)
        return body + self._tag(self.channel, body)

    def read_hint(self, value: bytes) -> tuple[bytes, int] | None:
        """Give sender and cursor, None if it isn't the site's."""
        body = self._body(self.channel, value, _HINT.size + TAG_BYTES)
        if body is None:
            return None
        sender, cursor = _HINT.unpack(body)
        return sender, cursor

    def seal(self, name: str, value: bytes) -> bytes:
        """Seal a value for its name."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, value, name.encode())

    def open(self, name: str, sealed: bytes) -> bytes | None:
        """Open a value, None if it isn't the site's or another name's."""
        try:
            return self._aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], name.encode())
        except (InvalidTag, ValueError):
            return None

    def __repr__(self) -> str:
        """Show no key."""
        return "SiteKey(…)"

    def _derive(self, purpose: bytes) -> bytes:
        return HKDF(
            algorithm=hashes.SHA256(), length=32, salt=None, info=b"kanhe/site/1/" + purpose
        ).derive(self._secret)

    def _tag(self, name: str, body: bytes) -> bytes:
        return hmac.digest(self._tag_key, name.encode() + b"\0" + body, "sha256")[:TAG_BYTES]

    def _body(self, name: str, value: bytes, size: int) -> bytes | None:
        """Give what a tag covers, if it holds."""
        body, tag = value[:-TAG_BYTES], value[-TAG_BYTES:]
        if len(value) != size or not hmac.compare_digest(tag, self._tag(name, body)):
            return None
        return body
