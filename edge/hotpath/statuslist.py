"""Token Status Lists: the status of many credentials in a few bits each, signed as one.

- draft-ietf-oauth-status-list: entries of 1, 2, 4 or 8 bits, the first in a byte's lowest bits,
  compressed by zlib, in a CWT of type `application/statuslist+cwt`.
- Four answers that never mix: valid, suspended, revoked, and None where a list can't tell: not
  held, out of date, too short, or a value that we don't know.
- What is known to be withdrawn stays so however old the list is; only "valid" grows old.
- A list is inflated within a bound, and only after its signature holds.
- Not here: where lists come from and which of two is newer (edge.sync.lists).
"""

import zlib
from collections.abc import Iterable, Mapping

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from edge.protocol import cose
from edge.protocol.records import Status, StatusRecord

BITS = (1, 2, 4, 8)
LIST_BYTES_MAX = 256 * 1024
"""Longest list, inflated: 2²⁰ entries of two bits."""
TOKEN_BYTES_MAX = 60 * 1024
"""Longest signed token: what the node's store keeps in one value."""
MEDIA_TYPE = "application/statuslist+cwt"
_PROTECTED = cose.protected_header(MEDIA_TYPE)
SUBJECT, EXPIRES, ISSUED, TTL, LIST = 2, 4, 6, 65534, 65533
"""Labels of the claims."""
_STATUSES: Mapping[int, Status] = {
    0: Status.VALID, 1: Status.REVOKED, 2: Status.SUSPENDED,
}
VALUES: Mapping[Status, int] = {status: value for value, status in _STATUSES.items()}


class StatusListError(ValueError):
    """A token or list that can't be believed; the message says why."""


class StatusList(msgspec.Struct, frozen=True, kw_only=True):
    """One list at one moment.

    Attributes:
        uri: Its name, as credentials refer to it.
        bits: Of an entry.
        statuses: The entries, inflated.
        issued_s, expires_s: When it was true, and until when it may be said to be.
        ttl_s: After that many seconds one should ask for a newer one.
    """

    uri: str
    bits: int
    statuses: bytes
    issued_s: int
    expires_s: int
    ttl_s: int

    def value(self, index: int) -> int | None:
        """Give an entry's value, None beyond the end."""
        per_byte = 8 // self.bits
        place, at = divmod(index, per_byte)
        if not 0 <= place < len(self.statuses):
            return None
        return self.statuses[place] >> at * self.bits & (1 << self.bits) - 1

    def status(self, index: int, now: float) -> Status | None:
        """Say what is known of an entry at `now` (Unix seconds), None if nothing is."""
        value = self.value(index)
        status = None if value is None else _STATUSES.get(value)
        return None if status is Status.VALID and now >= self.expires_s else status

    def __repr__(self) -> str:
        """Show its name and age only."""
        return f"StatusList(uri={self.uri!r}, issued_s={self.issued_s})"


def pack(values: Iterable[int], bits: int) -> bytes:
    """Give the entries of a list as bytes.

    Raises:
        StatusListError: A width or value that can't be.
    """
    if bits not in BITS:
        raise StatusListError(f"{bits} bits an entry: 1, 2, 4 or 8")
    items = list(values)
    data = bytearray((len(items) * bits + 7) // 8)
    for index, value in enumerate(items):
        set_value(data, bits, index, value)
    return bytes(data)


def set_value(data: bytearray, bits: int, index: int, value: int) -> None:
    """Set one entry.

    Raises:
        StatusListError: The value doesn't fit into the bits.
    """
    if not 0 <= value < 1 << bits:
        raise StatusListError(f"status {value} doesn't fit into {bits} bits")
    place, at = divmod(index, 8 // bits)
    mask = ((1 << bits) - 1) << at * bits
    data[place] = data[place] & ~mask & 0xFF | value << at * bits


def deflate(data: bytes) -> bytes:
    """Compress entries as the draft recommends."""
    return zlib.compress(data, 9)


def inflate(data: bytes, bytes_max: int = LIST_BYTES_MAX) -> bytes:
    """Give the entries of a compressed list, within a bound.

    Raises:
        StatusListError: It isn't one zlib stream, or it goes on beyond the bound.
    """
    stream = zlib.decompressobj()
    try:
        entries = stream.decompress(data, bytes_max + 1)
    except zlib.error as error:
        raise StatusListError(f"the list doesn't inflate: {error}") from error
    if len(entries) > bytes_max:
        raise StatusListError(f"the list is over {bytes_max} bytes")
    if not stream.eof or stream.unused_data:
        raise StatusListError("the list is cut short, or something follows it")
    return entries


def make_token(status_list: StatusList, key: Ed25519PrivateKey) -> bytes:
    """Sign a list as a CWT."""
    claims = {
        SUBJECT: status_list.uri, ISSUED: status_list.issued_s, EXPIRES: status_list.expires_s,
        TTL: status_list.ttl_s,
        LIST: {"bits": status_list.bits, "lst": deflate(status_list.statuses)},
    }
    return cose.sign(key, _PROTECTED, cose.dump(claims))


def open_token(data: bytes, keys: Iterable[Ed25519PublicKey], uri: str) -> StatusList:
    """Give the list of a token that one of the keys signed.

    Args:
        data: The token.
        keys: Who may sign status lists.
        uri: The list that was asked for.

    Raises:
        StatusListError: The signature doesn't hold, it is another list, or it has another form.
    """
    if len(data) > TOKEN_BYTES_MAX:
        raise StatusListError(f"a token of {len(data)} bytes is over {TOKEN_BYTES_MAX}")
    try:
        claims = cose.load_claims(cose.open_signed(data, keys, _PROTECTED))
    except cose.CoseError as error:
        raise StatusListError(f"the status list isn't the platform's: {error}") from error
    found = parse_claims(claims)
    if found.uri != uri:
        raise StatusListError("this is another list than the one asked for")
    return found


def parse_claims(claims: Mapping[int, object]) -> StatusList:
    """Read the claims of a status list token.

    Raises:
        StatusListError: One is missing or of another form.
    """
    try:
        whole = msgspec.convert({
            "uri": claims.get(SUBJECT), "issued_s": claims.get(ISSUED),
            "expires_s": claims.get(EXPIRES), "ttl_s": claims.get(TTL),
            "list": claims.get(LIST),
        }, _Claims)
    except msgspec.ValidationError as error:
        raise StatusListError(f"the token isn't a status list's: {error}") from error
    if whole.list.bits not in BITS:
        raise StatusListError(f"{whole.list.bits} bits an entry: 1, 2, 4 or 8")
    return StatusList(
        uri=whole.uri, bits=whole.list.bits, statuses=inflate(whole.list.lst),
        issued_s=whole.issued_s, expires_s=whole.expires_s, ttl_s=whole.ttl_s)


def newest_status(
    told: StatusRecord | None, listed: Status | None, listed_s: int, told_as_of_s: int | None
) -> Status:
    """Give what the feed and a list say together of one credential.

    Revoked is final, whoever says it. Otherwise the newer of the two counts.

    Args:
        told: The feed's exception, None if it told of none.
        listed: The list's answer, None if it can't tell.
        listed_s: When the list was true.
        told_as_of_s: Until when the feed told of every change of this credential; None = it
            doesn't tell of it, and its silence means nothing.
    """
    if listed is Status.REVOKED or (told is not None and told.status is Status.REVOKED):
        return Status.REVOKED
    silent = Status.VALID if told is None else told.status
    if listed is None:
        return silent
    since_s = told_as_of_s if told is None else max(told.changed_s, told_as_of_s or 0)
    return listed if since_s is None or since_s < listed_s else silent


class _Entries(msgspec.Struct):
    bits: int
    lst: bytes


class _Claims(msgspec.Struct):
    uri: str
    issued_s: int
    expires_s: int
    ttl_s: int
    list: _Entries
