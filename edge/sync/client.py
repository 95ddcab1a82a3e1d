"""The way to the central platform: HTTP calls whose answers come back unjudged.

- The only place of edge.sync that knows aiohttp; foreign errors become `CentralError`
  here, with their cause kept.
- Every answer is bounded before it is held, as it is read: endless data is cut off.
- No redirects, no cookies, no proxies from the environment, no compressed answers: each
  would be a way to get the node's token or its memory.
- Not here: belief (edge.sync.rules), retries (edge.sync.follower, edge.sync.shipper).
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping

import aiohttp
import msgspec

from edge.errors import CentralError, FeedRefused
from edge.hotpath.checkpoint import Checkpoint, CheckpointAnswer
from edge.hotpath.statuslist import TOKEN_BYTES_MAX
from edge.protocol.feed import ENVELOPE_BYTES_MAX
from edge.protocol.identity import Challenge, ChallengeRequest, Renewed, RenewRequest
from edge.protocol.journal import JournalAck, JournalUpload
from edge.protocol.report import NodeReport
from edge.sync.answers import Time, parsed, words
from edge.sync.ports import (
    CentralGone,
    CentralRefused,
    CentralSilent,
    ListAnswer,
    ShipAnswer,
)

CONNECT_S_MAX = 5.0
CALL_S_MAX = 10.0
UPLOAD_S_MAX = 30.0
SMALL_BYTES_MAX = 64 * 1024
ENROL_BYTES_MAX = 1024 * 1024
PART_S_MAX = 600.0
PART_SILENCE_S_MAX = 10.0
CONNECTIONS_MAX = 4
TAG_CHARS_MAX = 64


class EnrolRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says of itself; keys are raw public keys (base64 in JSON)."""

    code: str
    name: str
    sign_public: bytes
    seal_public: bytes


class EnrolAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the platform makes of it; `root` is an envelope (base64 in JSON)."""

    node_id: str
    token: str
    log: str
    root: bytes
    unix_s: float
    expires_s: int = 0


class CentralClient:
    """Calls one central platform as one node."""

    def __init__(
        self, base_url: str, *, token: str = "", tls: ssl.SSLContext | None = None,
        call_s_max: float = CALL_S_MAX,
    ) -> None:
        """Prepare; nothing is opened before the first call.

        Args:
            base_url: Scheme, host and port, perhaps a path before `/v1`.
            token: The node's bearer token; empty before enrolment.
            tls: Whom to believe behind https; None = the system's roots.
            call_s_max: Longest that a call may take, beside what a poll was asked to wait.
        """
        self._base_url = base_url.rstrip("/")
        self._headers = {"Accept-Encoding": "identity"}
        if token:
            self.use_token(token)
        self._tls = tls
        self._call_s_max = call_s_max
        self._session: aiohttp.ClientSession | None = None

    def use_token(self, token: str) -> None:
        """Show another token from the next call on."""
        self._headers["Authorization"] = f"Bearer {token}"

    async def close(self) -> None:
        """Close the connections; a later call would open new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def enrol(self, request: EnrolRequest) -> EnrolAnswer:
        """Spend a one-time code.

        Raises:
            CentralError: It failed or was refused.
        """
        _, body = await self._call(
            "POST", "/v1/nodes/enrol", bytes_max=ENROL_BYTES_MAX,
            data=msgspec.json.encode(request), content_type="application/json")
        return parsed(body, EnrolAnswer)

    async def challenge(self, node_id: str) -> bytes:
        """Ask for something fresh to sign."""
        _, body = await self._call(
            "POST", "/v1/nodes/challenge", bytes_max=SMALL_BYTES_MAX,
            data=msgspec.json.encode(ChallengeRequest(node_id=node_id)),
            content_type="application/json")
        return parsed(body, Challenge).challenge

    async def renew(self, request: RenewRequest) -> Renewed:
        """Prove the node's key; what comes is sealed to it."""
        _, body = await self._call(
            "POST", "/v1/nodes/renew", bytes_max=SMALL_BYTES_MAX,
            data=msgspec.json.encode(request), content_type="application/json")
        return parsed(body, Renewed)

    async def feed(self, cursor: int, wait_s: int) -> bytes:
        """Wait up to `wait_s` for changes from `cursor` on; an envelope."""
        _, body = await self._call(
            "GET", f"/v1/feed?cursor={cursor}&wait_s={wait_s}",
            bytes_max=ENVELOPE_BYTES_MAX, total_s=wait_s + self._call_s_max)
        return body

    async def keys(self) -> bytes:
        """Fetch this node's key delivery; an envelope."""
        _, body = await self._call("GET", "/v1/keys", bytes_max=ENVELOPE_BYTES_MAX)
        return body

    async def root(self, version: int) -> bytes | None:
        """Fetch a version of the root; an envelope, None if there is no such version."""
        status, body = await self._call(
            "GET", f"/v1/root?version={version}", bytes_max=ENVELOPE_BYTES_MAX, also=(404,))
        return None if status == 404 else body

    async def timestamp(self) -> bytes | None:
        """Fetch the name of the newest snapshot; an envelope, None if there is none."""
        status, body = await self._call(
            "GET", "/v1/timestamp", bytes_max=SMALL_BYTES_MAX, also=(404,))
        return None if status == 404 else body

    async def snapshot(self, bytes_max: int) -> bytes:
        """Fetch the newest snapshot's envelope, of at most so many bytes."""
        _, body = await self._call("GET", "/v1/snapshot", bytes_max=bytes_max)
        return body

    async def part(
        self, digest: str, offset: int, length: int, write: Callable[[bytes], object]
    ) -> None:
        """Fetch a part's bytes from `offset` to `length`, piece by piece; the way may be cut.

        Raises:
            CentralError: It failed; what was written is good to go on from.
            FeedRefused: It goes on beyond its length.
        """
        what = f"GET /v1/snapshot/parts/{digest[:8]}…"
        headers = {**self._headers, "Range": f"bytes={offset}-"}
        timeout = aiohttp.ClientTimeout(
            total=PART_S_MAX, connect=CONNECT_S_MAX, sock_read=PART_SILENCE_S_MAX)
        try:
            async with self._opened().get(
                f"{self._base_url}/v1/snapshot/parts/{digest}", headers=headers,
                allow_redirects=False, ssl=self._tls or True, timeout=timeout,
            ) as response:
                if response.status in (401, 403):
                    raise CentralRefused(f"{what}: the platform doesn't know this node (any more)")
                if response.status != 206:
                    raise CentralError(f"{what}: answered {response.status}")
                left = length - offset
                async for chunk in response.content.iter_any():
                    left -= len(chunk)
                    if left < 0:
                        response.close()
                        raise FeedRefused(f"{what}: the part goes on beyond {length} bytes")
                    write(chunk)
        except TimeoutError as error:
            raise CentralSilent(f"{what}: no answer in time") from error
        except (aiohttp.ClientError, OSError, ValueError, asyncio.IncompleteReadError) as error:
            raise CentralError(f"{what}: {type(error).__name__}: {error}") from error

    async def look_up(self, request: bytes, within_s: float) -> bytes:
        """Ask for what isn't held (JSON of a `LookupRequest`); an envelope."""
        _, body = await self._call(
            "POST", "/v1/lookup", bytes_max=ENVELOPE_BYTES_MAX, data=request,
            content_type="application/json", total_s=within_s)
        return body

    async def time(self) -> float:
        """Ask for the platform's clock, Unix seconds. Not signed."""
        _, body = await self._call("GET", "/v1/time", bytes_max=SMALL_BYTES_MAX)
        return parsed(body, Time).unix_s

    async def status_list(self, number: int, tag: str) -> ListAnswer | None:
        """Fetch a status list unless it is still that of the tag; None if there is none."""
        given: dict[str, str] = {}
        status, body = await self._call(
            "GET", f"/v1/status-lists/{number}", bytes_max=TOKEN_BYTES_MAX, also=(304, 404),
            asked={"If-None-Match": tag} if tag else {}, given=given)
        if status == 404:
            return None
        fresh = given.get("etag", "")[:TAG_CHARS_MAX]
        return ListAnswer(None, tag) if status == 304 else ListAnswer(body, fresh)

    async def report(self, report: NodeReport) -> None:
        """Tell the platform how this node is."""
        await self._call(
            "POST", "/v1/nodes/report", bytes_max=SMALL_BYTES_MAX,
            data=msgspec.json.encode(report), content_type="application/json")

    async def authority(self) -> bytes | None:
        """Fetch the certificate (PEM) of the platform's local authority, None if it has none.

        What comes is to be compared with a pin before anything is believed of it.
        """
        status, body = await self._call(
            "GET", "/authority.pem", bytes_max=SMALL_BYTES_MAX, also=(404,))
        return body if status == 200 else None

    async def ship(self, upload: JournalUpload) -> ShipAnswer:
        """Hand over journal records; a conflict is an answer, not an error."""
        status, body = await self._call(
            "POST", "/v1/journal", bytes_max=SMALL_BYTES_MAX, also=(409,),
            data=msgspec.msgpack.encode(upload), content_type="application/msgpack",
            total_s=UPLOAD_S_MAX)
        return ShipAnswer(parsed(body, JournalAck).next, status == 409)

    async def countersign(self, point: Checkpoint) -> CheckpointAnswer:
        """Have a checkpoint counter-signed; a refusal is an answer, not an error."""
        _, body = await self._call(
            "POST", "/v1/journal/checkpoint", bytes_max=SMALL_BYTES_MAX, also=(409,),
            data=msgspec.json.encode(point), content_type="application/json",
            total_s=UPLOAD_S_MAX)
        return parsed(body, CheckpointAnswer)

    async def _call(
        self, method: str, path: str, *, bytes_max: int, also: tuple[int, ...] = (),
        data: bytes | None = None, content_type: str = "", total_s: float | None = None,
        asked: Mapping[str, str] | None = None, given: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Make one call; `also` are statuses beside 200 that are answers.

        `asked` are headers of this call, `given` takes those of the answer, in lower case.
        """
        headers = {**self._headers, **(asked or {})}
        if content_type:
            headers["Content-Type"] = content_type
        total_s = self._call_s_max if total_s is None else total_s
        what = f"{method} {path.partition('?')[0]}"
        try:
            async with self._opened().request(
                method, self._base_url + path, data=data, headers=headers,
                allow_redirects=False, ssl=self._tls or True,
                timeout=aiohttp.ClientTimeout(total=total_s, connect=CONNECT_S_MAX),
            ) as response:
                body = await _bounded(response, bytes_max, what)
        except TimeoutError as error:
            raise CentralSilent(f"{what}: no answer within {total_s:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError, asyncio.IncompleteReadError) as error:
            raise CentralError(f"{what}: {type(error).__name__}: {error}") from error
        if given is not None:
            given.update((name.lower(), value) for name, value in response.headers.items())
        if response.status == 200 or response.status in also:
            return response.status, body
        if response.status in (401, 403):
            raise CentralRefused(
                f"{what}: the platform doesn't know this node (any more): "
                f"{response.status}{words(body)}")
        if response.status == 410:
            raise CentralGone(f"{what}: answered 410{words(body)}")
        raise CentralError(f"{what}: answered {response.status}{words(body)}")

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
                cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False)
        return self._session


async def _bounded(response: aiohttp.ClientResponse, bytes_max: int, what: str) -> bytes:
    if response.headers.get("Content-Encoding", "identity") != "identity":
        response.close()
        raise FeedRefused(f"{what}: a compressed answer was not asked for")
    if (response.content_length or 0) > bytes_max:
        response.close()
        raise FeedRefused(f"{what}: {response.content_length} bytes are over {bytes_max}")
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > bytes_max:
            response.close()
            raise FeedRefused(f"{what}: the answer goes on beyond {bytes_max} bytes")
    return bytes(body)
