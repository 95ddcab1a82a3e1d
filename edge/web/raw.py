"""Whole responses as bytes, for the short way.

- The same heads as aiohttp's responses of the same calls carry, but for `Server`.
"""

import time
from email.utils import formatdate

from aiohttp import web

_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"
    b"%bContent-Length: %d\r\nDate: %b\r\n\r\n%b"
)


class RawResponses:
    """Makes them; keeps the date of the present second."""

    def __init__(self) -> None:
        """Begin without a date."""
        self._second, self._date = 0, b""
        self._timed: dict[str, float] | None = None
        self._timing = b""

    def answer(self, body: bytes, timings_ms: dict[str, float]) -> bytes:
        """Give the response of an answer."""
        if timings_ms is not self._timed:
            # Calls that were answered together took the same times.
            timing = server_timing(timings_ms).encode()
            self._timing = b"Server-Timing: %b\r\n" % timing if timing else b""
            self._timed = timings_ms
        return _ANSWER % (self._timing, len(body), self._now(), body)

    def of(self, response: web.Response) -> bytes:
        """Give the bytes of any response that is whole."""
        body = response.body
        assert isinstance(body, bytes)
        lines = [f"HTTP/1.1 {response.status} {response.reason}",
                 *(f"{name}: {value}" for name, value in response.headers.items()),
                 f"Content-Length: {len(body)}", f"Date: {self._now().decode()}"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + body

    def _now(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True).encode()
        return self._date


def server_timing(timings_ms: dict[str, float]) -> str:
    """Give the value of `Server-Timing`, empty if nothing was timed."""
    return ", ".join([f"{stage};dur={ms:.2f}" for stage, ms in timings_ms.items()])
