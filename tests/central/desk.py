"""An administrator's desk before a real platform over real HTTP, and a node that enrols there."""

import base64
import json
from contextlib import asynccontextmanager

import aiohttp
import msgspec
from aiohttp.test_utils import TestServer

from central import feed_keys
from central.app import application
from central.config import CentralConfig
from central.platform import Platform
from edge.hotpath.holder import ProbeFault
from edge.hotpath.reasons import Reason
from edge.models.engine import ReferenceDraft
from edge.node_key import NodeKey
from edge.protocol.feed import ChangeBatch, Envelope
from edge.sync.sealing import open_changes

NUMBER = "330203199002110244"
FIELDS = {"name": "马晓芸", "sex": "女", "nation": "汉", "birth_date": "1990-02-11",
          "address": "宁波", "id_number": NUMBER, "authority": "宁波市公安局"}
KEY = NodeKey(bytes([5] * 32))


class FakeEnroller:
    pack_id = "fake-v1"

    def make_reference_template(self, image):
        if image == b"nobody":
            return ProbeFault(Reason.FACE_ABSENT)
        return ReferenceDraft(b"t" * 128, 0.9, {"pose": 1.0})


class Desk:
    def __init__(self, platform, server, session):
        self.platform, self.server, self.session = platform, server, session
        self.token = platform.keys.admin_token

    @property
    def url(self):
        return str(self.server.make_url("")).rstrip("/")

    async def ask(self, method, path, body=None, *, token=None, data=None):
        """Give status, headers and what is in the body."""
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        payload = data if data is not None else (json.dumps(body) if body is not None else None)
        url = self.server.make_url(path)
        async with self.session.request(method, url, headers=headers, data=payload) as response:
            raw = await response.read()
            packed = response.content_type == "application/msgpack"
            return response.status, response.headers, raw if packed else json.loads(raw)

    async def call(self, method, path, body=None, *, token=None, data=None):
        status, _, said = await self.ask(method, path, body, token=token, data=data)
        return status, said

    async def holder(self):
        return (await self.call("POST", "/v1/holders", {"name": "马晓芸", "number": NUMBER}))[1][
            "holder_id"]

    async def issue(self, **differently):
        body = {"holder_id": await self.holder(), "type": "resident_id", "fields": FIELDS}
        return await self.call("POST", "/v1/credentials", {**body, **differently})

    async def enrol(self, code=None, key=KEY, name="n"):
        code = code or (await self.call("POST", "/v1/node-codes"))[1]["code"]
        body = {"code": code, "name": name,
                "sign_public": base64.b64encode(key.sign_public).decode(),
                "seal_public": base64.b64encode(key.seal_public).decode()}
        return await self.call("POST", "/v1/nodes/enrol", body, token="")

    async def feed(self, token, cursor=0, wait_s=0):
        _, raw = await self.call("GET", f"/v1/feed?cursor={cursor}&wait_s={wait_s}", token=token)
        batch = msgspec.msgpack.decode(
            msgspec.msgpack.decode(raw, type=Envelope).body, type=ChangeBatch)
        return open_changes(batch, await self.platform.database.run(feed_keys.to_deliver))


@asynccontextmanager
async def desk_of(folder, address="", *, now=None, answering_at=None, **config):
    """Start a platform with its data in a folder; stop it at the end."""
    more = {} if now is None else {"now": now}
    platform = Platform(
        CentralConfig(data_dir=folder, database_url=address, **config), FakeEnroller(), **more)
    await platform.start()
    server = TestServer(application(platform), host="127.0.0.1", port=answering_at)
    # A node's long poll would be waited for by the minute.
    await server.start_server(shutdown_timeout=0.5)
    async with aiohttp.ClientSession() as session:
        yield Desk(platform, server, session)
    await server.close()
    await platform.stop()
