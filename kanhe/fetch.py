"""Fetches one file over HTTP: resumed where it was cut, and never more than is stated.

- What has arrived stays in a `.part` file; the next try asks for the rest (RFC 9110, 14.2).
- Nothing is believed here: the caller holds the whole file against its checksum.
- An address that begins in TLS stays in TLS, whatever it is redirected to.
"""

import asyncio
import fcntl
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO

import aiohttp

from edge.errors import PackError

CONNECT_S_MAX = 15.0
SILENCE_S_MAX = 60.0
TRIES = 4
PAUSE_S = 0.5
REDIRECTS_MAX = 5
_CHUNK = 256 * 1024
_OK, _PARTIAL, _RANGE_NOT_SATISFIABLE = 200, 206, 416
_CONTENT_RANGE = re.compile(r"^bytes (\d+)-\d+/(?:\d+|\*)$")

Arrived = Callable[[int], None]
"""Told how many bytes have arrived."""


class _CutOffError(Exception):
    """The connection ended before the file did."""


def fetch(url: str, target: Path, bytes_max: int, arrived: Arrived) -> None:
    """Fetch a file to its place, resuming what an earlier call left.

    Args:
        url: HTTP or HTTPS.
        target: Where the whole file goes.
        bytes_max: More than this is refused.
        arrived: Progress.

    Raises:
        PackError: It can't be had; what has arrived is kept unless it can't be right.
    """
    part = target.with_name(target.name + ".part")
    try:
        with part.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise PackError(f"{part} is being fetched by another process") from error
            asyncio.run(_fetch(url, file, bytes_max, arrived))
            file.flush()
            os.fsync(file.fileno())
        part.rename(target)
    except OSError as error:
        raise PackError(f"{target} can't be written: {error.strerror}") from error


async def _fetch(url: str, file: IO[bytes], bytes_max: int, arrived: Arrived) -> None:
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=CONNECT_S_MAX, sock_read=SILENCE_S_MAX)
    failure: Exception | None = None
    async with aiohttp.ClientSession(
        timeout=timeout, auto_decompress=False, trust_env=True
    ) as session:
        for turn in range(TRIES):
            if turn:
                await asyncio.sleep(PAUSE_S * 2 ** (turn - 1))
            try:
                await _try(session, url, file, bytes_max, arrived)
                return
            except (aiohttp.ClientError, TimeoutError, _CutOffError) as error:
                failure = error
    raise PackError(
        f"{url} can't be fetched ({type(failure).__name__}); {file.tell()} bytes have arrived and "
        "are kept: the same command goes on from there"
    ) from failure


async def _try(
    session: aiohttp.ClientSession, url: str, file: IO[bytes], bytes_max: int, arrived: Arrived
) -> None:
    have = file.seek(0, os.SEEK_END)
    headers = {"Range": f"bytes={have}-"} if have else {}
    async with session.get(url, headers=headers, max_redirects=REDIRECTS_MAX) as answer:
        if url.startswith("https:") and answer.url.scheme != "https":
            raise PackError(f"{url} leads out of TLS: not fetched")
        if answer.status == _RANGE_NOT_SATISFIABLE:
            return  # nothing beyond what is here: the checksum tells whether it is whole
        if answer.status not in (_OK, _PARTIAL):
            raise PackError(f"{url} answers {answer.status}")
        begin = _CONTENT_RANGE.match(answer.headers.get("Content-Range", ""))
        if answer.status == _PARTIAL and (begin is None or int(begin[1]) != have):
            raise PackError(f"{url} answers with another range than was asked for")
        if answer.status == _OK:
            file.truncate(have := 0)
        length = answer.content_length
        async for chunk in answer.content.iter_chunked(_CHUNK):
            have += len(chunk)
            if have > bytes_max:
                file.truncate(0)
                raise PackError(f"{url} gives more than the {bytes_max} bytes stated")
            file.write(chunk)
            arrived(have)
            if length is not None:
                length -= len(chunk)
        if length:
            raise _CutOffError
