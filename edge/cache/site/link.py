"""The way to Redis: stand-alone, Sentinel or Cluster; the one owner of redis-py.

- Every call has a time in which it must be done, and is never tried again by itself: whether to
  ask at all is the circuit's to say.
- Foreign errors become `SiteFault` here, with words that hold no password; so do answers that are
  none of Redis, whatever redis-py makes of their bytes.
"""

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from redis import exceptions as errors
from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelManagedSSLConnection
from redis.backoff import NoBackoff

from edge.access.tls import client_context
from edge.cache.site.circuit import SiteFault, no_info
from edge.cache.site.place import LinkOptions, parse_url
from edge.cache.site.scripts import Script
from edge.cache.site.within import within
from edge.errors import ConfigError

CALLS_MAX = 64
"""Calls, and so connections, at once; more wait within their time."""
CLOSE_S_MAX = 1.0
SILENT_S = 5.0
"""A subscription that was silent so long is asked for a sign of life, and has as long for it: a
line that died without a word would be silent for ever."""
_ABOUT_INFO = re.compile("['`]info\\b", re.IGNORECASE)
"""In a server's words for a command that it doesn't know, or that an account may not use."""
_FOREIGN = (
    errors.RedisError, errors.RedisClusterException, OSError,
    # What redis-py falls over when bytes are no answer of Redis.
    ValueError, TypeError, LookupError, AttributeError, RecursionError,
)
_T = TypeVar("_T")


class RedisLink:
    """One site's Redis."""

    def __init__(self, options: LinkOptions) -> None:
        """Take the address; nothing is connected before the first call.

        Raises:
            ConfigError: The address has none of the forms, or the authority can't be read.
        """
        self._place = parse_url(options.url)
        self._options = options
        self._tls = _context(options.authority) if self._place.tls else None
        self._room = asyncio.Semaphore(CALLS_MAX)
        self._client: Any = None
        self._clients: list[Any] = []

    async def run(
        self, script: Script, names: Sequence[str], args: Sequence[bytes | int | str],
        within_s: float,
    ) -> list[bytes]:
        """Run a script; gives as many values as it says.

        Raises:
            SiteFault: It can't be told whether it was run.
        """
        found = await self._call(lambda: self._run(script, names, args), within_s)
        if not isinstance(found, list) or len(found) != script.values:
            raise _nonsense()
        return [_bytes(item) for item in found]

    async def get(self, name: str, within_s: float) -> bytes | None:
        """Read a value; raises as `run`."""
        found = await self._call(lambda: self._ready().get(name), within_s)
        return None if found is None else _bytes(found)

    async def put(self, name: str, value: bytes, kept_s: int, within_s: float) -> None:
        """Write a value; raises as `run`."""
        await self._call(lambda: self._ready().set(name, value, ex=kept_s), within_s)

    async def tell(self, channel: str, message: bytes, within_s: float) -> None:
        """Publish a message; raises as `run`."""
        await self._call(
            lambda: self._ready().execute_command("PUBLISH", channel, message), within_s)

    async def listen(self, channel: str) -> AsyncIterator[bytes]:
        """Give what is published, for ever.

        Raises:
            SiteFault: The connection ended, or gives no sign of life.
        """
        try:
            client = self._ready()
            # A Cluster's subscription doesn't look for the slots by itself, as its calls do.
            await within(SILENT_S, client.initialize())
            async with client.pubsub() as heard:
                await within(SILENT_S, heard.subscribe(channel))
                asked = False
                while heard.subscribed:
                    # It connects anew by itself, which has no time of its own.
                    message = await within(2 * SILENT_S, heard.get_message(timeout=SILENT_S))
                    if message is not None and message["type"] == "message":
                        yield message["data"]
                    elif message is None and asked:
                        raise TimeoutError
                    elif message is None:
                        await within(SILENT_S, heard.ping())
                    asked = message is None
        except TimeoutError as error:
            raise SiteFault("slow", "a subscription gives no sign of life") from error
        except _FOREIGN as error:
            raise fault_of(error) from error
        raise SiteFault("unreachable", "Redis ended a subscription")

    async def forgets(self, within_s: float) -> str:
        """Name the rule by which a server may throw out what isn't over; empty if there is none.

        Raises:
            SiteFault: It can't be told.
        """
        return await self._call(self._forgets, within_s)

    async def renew(self) -> None:
        """Begin with new connections."""
        before, self._clients, self._client = self._clients, [], None
        for client in before:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(CLOSE_S_MAX):
                    await client.aclose()

    async def close(self) -> None:
        """Close the connections."""
        await self.renew()

    async def _run(
        self, script: Script, names: Sequence[str], args: Sequence[bytes | int | str]
    ) -> object:
        client = self._ready()
        try:
            return await client.evalsha(script.sha, len(names), *names, *args)
        except errors.NoScriptError:
            return await client.eval(script.text, len(names), *names, *args)

    async def _forgets(self) -> str:
        for memory in await self._memory():
            most, rule = memory.get("maxmemory"), memory.get("maxmemory_policy")
            if not isinstance(most, int) or not isinstance(rule, str):
                raise no_info("maxmemory")
            if most and rule != "noeviction":
                return rule
        return ""

    async def _memory(self) -> list[dict[str, Any]]:
        many: dict[str, Any] = (
            {"target_nodes": RedisCluster.PRIMARIES} if self._place.kind == "cluster" else {})
        try:
            found = await self._ready().info("memory", **many)
        except errors.ResponseError as error:
            if _ABOUT_INFO.search(str(error)):
                raise no_info("maxmemory") from error
            raise
        each = list(found.values())
        # Several masters are told apart by name; one is not.
        return each if each and all(isinstance(item, dict) for item in each) else [found]

    async def _call(self, call: Callable[[], Awaitable[_T]], within_s: float) -> _T:
        try:
            return await within(within_s, self._in_turn(call))
        except TimeoutError as error:
            raise SiteFault(
                "slow", f"Redis didn't answer within {within_s * 1e3:.0f} ms") from error
        except _FOREIGN as error:
            raise fault_of(error) from error

    async def _in_turn(self, call: Callable[[], Awaitable[_T]]) -> _T:
        async with self._room:
            return await call()

    def _ready(self) -> Any:  # noqa: ANN401 - three classes of one manner
        if self._client is None:
            self._client = self._open()
            self._clients.append(self._client)
        return self._client

    def _open(self) -> Redis | RedisCluster:
        place, options = self._place, self._options
        common: dict[str, Any] = {
            "username": options.username or None, "password": options.password or None,
            "protocol": 2, "socket_timeout": None,
        }
        tls: dict[str, Any] = {"ssl": True} if self._tls is not None else {}
        if place.kind == "cluster":
            nodes = [ClusterNode(host, port) for host, port in place.hosts]
            cluster = RedisCluster(startup_nodes=nodes, max_connections=CALLS_MAX + 2,
                                   retry=Retry(NoBackoff(), 0), **common, **tls)
            if self._tls is not None:
                kind = _by(self._tls, SSLConnection)
                cluster.connection_kwargs["connection_class"] = kind
                for node in cluster.startup_nodes:
                    node.connection_class = kind
            return cluster
        common["retry"] = Retry(NoBackoff(), 0)
        if place.kind == "unix":
            return Redis(unix_socket_path=place.path, **common)
        if place.kind == "sentinel":
            sentinels = Sentinel(  # type: ignore[no-untyped-call]
                place.hosts, **common, **tls, sentinel_kwargs={
                    **tls, "protocol": 2, "retry": Retry(NoBackoff(), 0),
                    "password": options.sentinel_password or None})
            for sentinel in sentinels.sentinels:
                self._clients.append(self._secure(sentinel, SSLConnection))
            return self._secure(
                cast(Redis, sentinels.master_for(place.path)), SentinelManagedSSLConnection)
        host, port = place.hosts[0]
        client = Redis(host=host, port=port, db=int(place.path or 0), **common, **tls)
        return self._secure(client, SSLConnection)

    def _secure(self, client: Redis, kind: type[SSLConnection]) -> Redis:
        """Have a client's connections believe our context, if there is one."""
        if self._tls is not None:
            client.connection_pool.connection_class = _by(self._tls, kind)
        return client


def fault_of(error: Exception) -> SiteFault:
    """Say what an error of redis-py means for the site."""
    words = str(error)[:160]
    if isinstance(error, errors.OutOfMemoryError):
        return SiteFault("out_of_memory", "Redis has no memory left: raise its maxmemory")
    if isinstance(error, errors.ReadOnlyError):
        return SiteFault("read_only", "Redis is a replica that takes no writes: name its master")
    if isinstance(error, errors.AuthenticationError | errors.AuthorizationError
                  | errors.NoPermissionError | errors.AuthenticationWrongNumberOfArgsError):
        return SiteFault("denied", f"Redis refuses this node: {words}")
    if isinstance(error, errors.ClusterError | errors.RedisClusterException
                  | errors.ConnectionError | OSError):
        return SiteFault("unreachable", f"Redis can't be reached: {words}")
    if isinstance(error, errors.TimeoutError):
        return SiteFault("slow", "Redis didn't answer in time")
    if not isinstance(error, errors.RedisError):
        return _nonsense()
    return SiteFault("refused", f"Redis refuses: {words}")


def _bytes(value: object) -> bytes:
    """Insist on a string of Redis.

    Raises:
        SiteFault: It is something else.
    """
    if isinstance(value, bytes):
        return value
    raise _nonsense()


def _nonsense() -> SiteFault:
    return SiteFault("refused", "what answers there isn't Redis, or alters its answers")


def _by(context: ssl.SSLContext, kind: type[SSLConnection]) -> type[SSLConnection]:
    """Give connections that believe a context.

    redis-py's own read the system's roots for each connection, some 25 ms of the event loop, and
    believe them beside an authority that is named.
    """

    class Connection(kind):  # type: ignore[valid-type, misc]
        def __init__(self, **options: Any) -> None:  # noqa: ANN401 - redis-py's
            super().__init__(**options)
            self.ssl_context.context = context

    return Connection


def _context(authority: Path | None) -> ssl.SSLContext:
    try:
        return client_context(None if authority is None else authority.read_bytes())
    except OSError as error:
        raise ConfigError(f"redis.authority: {authority}: {error.strerror}") from error
