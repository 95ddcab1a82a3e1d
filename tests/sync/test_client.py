"""The border: foreign errors become ours, and no answer is held beyond its bound."""

import asyncio
import gzip
import hashlib

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from edge.errors import CentralError, FeedRefused, StoreError
from edge.protocol.feed import ENVELOPE_BYTES_MAX
from edge.protocol.journal import JournalUpload
from edge.protocol.snapshot import SnapshotPart
from edge.sync.client import SMALL_BYTES_MAX, CentralClient
from edge.sync.fetch import fetch_parts
from edge.sync.ports import CentralRefused, CentralSilent


class Raw:
    """A server that answers every call as a test says."""

    def __init__(self) -> None:
        self.handler = None
        self.seen = []

    async def handle(self, request):
        self.seen.append(request)
        return await self.handler(request)


@pytest.fixture
async def raw():
    raw = Raw()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", raw.handle)
    async with TestServer(app, host="127.0.0.1") as server:
        raw.url = str(server.make_url("/"))
        yield raw


@pytest.fixture
async def client(raw):
    client = CentralClient(raw.url, token="the-token")
    yield client
    await client.close()


def answering(status=200, body=b"", **headers):
    async def handler(_):
        return web.Response(
            status=status, body=body,
            headers={name.replace("_", "-"): value for name, value in headers.items()})

    return handler


async def test_endless_data_is_cut_off(raw, client):
    sent = 0

    async def endless(request):
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(256 * 1024))
            sent += 256 * 1024

    raw.handler = endless
    with pytest.raises(FeedRefused, match="goes on beyond"):
        await client.feed(0, 0)
    assert sent < 4 * ENVELOPE_BYTES_MAX


async def test_answer_that_says_it_is_too_large_is_not_read(raw, client):
    raw.handler = answering(body=bytes(SMALL_BYTES_MAX + 1))
    with pytest.raises(FeedRefused, match="are over"):
        await client.time()


async def test_compressed_answer_is_refused(raw, client):
    raw.handler = answering(body=gzip.compress(bytes(10_000_000)), Content_Encoding="gzip")
    with pytest.raises(FeedRefused, match="compressed"):
        await client.keys()
    raw.handler = answering(body=gzip.compress(b"x"), Content_Encoding="br, gzip")
    with pytest.raises(FeedRefused, match="compressed"):
        await client.keys()


async def test_redirect_is_not_followed_with_the_token(raw, client):
    raw.handler = answering(302, Location="/elsewhere")
    with pytest.raises(CentralError, match="302"):
        await client.keys()
    assert len(raw.seen) == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_unknown_node_is_told_apart(raw, client, status):
    raw.handler = answering(status)
    with pytest.raises(CentralRefused):
        await client.feed(0, 0)


async def test_error_carries_the_platforms_words_cut_and_printable(raw, client):
    raw.handler = answering(500, b'{"detail": "disk \\u001b[31mfull' + b"x" * 500 + b'"}')
    with pytest.raises(CentralError) as caught:
        await client.keys()
    assert "disk [31mfull" in str(caught.value)
    assert len(str(caught.value)) < 300


async def test_silence_ends_with_the_timeout(raw):
    async def silent(_):
        await asyncio.sleep(30)

    client = CentralClient(raw.url, call_s_max=0.05)
    raw.handler = silent
    with pytest.raises(CentralSilent) as caught:
        await client.feed(0, 0)
    assert isinstance(caught.value.__cause__, TimeoutError)
    await client.close()


async def test_connection_refused_is_ours_with_its_cause():
    async with TestServer(web.Application(), host="127.0.0.1") as server:
        url = str(server.make_url("/"))
    client = CentralClient(url)
    with pytest.raises(CentralError) as caught:
        await client.keys()
    assert caught.value.__cause__ is not None
    await client.close()


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "not a url", "http://"])
async def test_address_that_is_none_is_our_error(url):
    client = CentralClient(url)
    with pytest.raises(CentralError):
        await client.keys()
    await client.close()


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"unix_s": "now"}', b"\xff\xfe", b"[" * 50_000])
async def test_answer_that_is_not_what_was_asked_is_our_error(raw, client, body):
    raw.handler = answering(body=body)
    with pytest.raises(CentralError):
        await client.time()
    with pytest.raises(CentralError):
        await client.ship(JournalUpload(log="l", first=0, records=()))


async def test_missing_root_is_no_error(raw, client):
    raw.handler = answering(404)
    assert await client.root(2) is None
    with pytest.raises(CentralError):
        await client.keys()


async def test_token_goes_in_the_header_and_into_no_error(raw, client):
    raw.handler = answering(500)
    with pytest.raises(CentralError) as caught:
        await client.feed(3, 0)
    assert raw.seen[0].headers["Authorization"] == "Bearer the-token"
    assert "the-token" not in str(caught.value)
    assert raw.seen[0].headers["Accept-Encoding"] == "identity"


async def test_a_full_disk_while_a_part_comes_is_not_the_platforms_fault(raw, client, tmp_path):
    data = bytes(200_000)
    part = SnapshotPart(digest=hashlib.sha256(data).digest(), length=len(data),
                        plain_length=len(data), changes=1)
    raw.handler = answering(status=206, body=data)
    (tmp_path / f"{part.digest.hex()}.part").symlink_to("/dev/full")
    with pytest.raises(StoreError, match="No space left"):
        await fetch_parts(client, None, tmp_path, lambda *_: None, [part])
    assert len(raw.seen) == 1
