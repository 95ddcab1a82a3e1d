"""Small answers of the central platform in JSON, read without believing anything."""

from typing import TypeVar

import msgspec

from edge.errors import CentralError
from edge.sync.envelope import UNREADABLE

WORDS_CHARS_MAX = 200
_T = TypeVar("_T")


class Time(msgspec.Struct, frozen=True):
    """The platform's clock, Unix seconds."""

    unix_s: float


class Problem(msgspec.Struct, frozen=True):
    """RFC 9457, as far as it is shown."""

    detail: str = ""
    title: str = ""


def parsed(body: bytes, kind: type[_T]) -> _T:
    """Read an answer of one form.

    Raises:
        CentralError: It is another.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE as error:
        raise CentralError(f"the platform's answer isn't what was asked for: {error}") from error


def words(body: bytes) -> str:
    """Give the platform's own words of an error, cut and printable."""
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except UNREADABLE:
        return ""
    words = "".join(c for c in (problem.detail or problem.title) if c.isprintable())
    return f": {words[:WORDS_CHARS_MAX]}" if words else ""
