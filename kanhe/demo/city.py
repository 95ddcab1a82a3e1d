"""The demo's city: a central platform and a node as real processes, holders enrolled.

- Everything an administrator does goes over the platform's HTTP interface.
- All files are in one folder; only packs are shared with other runs, since they are made once.
- Beyond loopback both serve TLS by their own authorities, and are called here by these.
"""

import asyncio
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import simplejpeg

from edge.access.certificates import server_names
from edge.access.tls import client_context, is_loopback
from edge.errors import OperatingError
from kanhe.commands.central import call
from kanhe.demo.people import PEOPLE, Person, load_portrait
from kanhe.demo.processes import Service
from kanhe.demo.wallet import Wallet

SCENES = ("hotel.checkin", "police.roadside", "office.gatehouse", "bank.counter")
PORTRAIT_QUALITY = 95
LOOPBACK = "127.0.0.1"
TAKEN_UP_S_MAX, TAKEN_UP_POLL_S = 60.0, 0.02
"""By when a node on a busy machine holds what it takes some 10 ms to hear of."""


class City:
    """What the story plays in."""

    def __init__(self, folder: Path, packs: Path, host: str = LOOPBACK) -> None:
        """Prepare; nothing is started. Both listen on `host`."""
        self.folder = folder
        self._packs, self._host = packs, host
        self._central_port = 8090
        self.central: Service | None = None
        self.node: Service | None = None
        self.gate_credential = ""
        self.wallets: dict[str, Wallet] = {}
        self.holders: dict[str, str] = {}
        self.credentials: dict[tuple[str, str], str] = {}

    @property
    def node_url(self) -> str:
        """The node's address on this machine."""
        assert self.node is not None
        return self._reached(self.node.url, LOOPBACK)

    @property
    def central_url(self) -> str:
        """The platform's address on this machine."""
        assert self.central is not None
        return self._reached(self.central.url, LOOPBACK)

    def seen(self, url: str) -> str:
        """Give one of the two addresses as other devices of the network reach it."""
        if is_loopback(self._host):
            return url
        others = [name for name in server_names(()) if name[0].isdigit() and not is_loopback(name)]
        return url.replace(LOOPBACK, others[0]) if others else url

    def tls(self, name: str) -> ssl.SSLContext | bool:
        """Whom to believe when `central` or `edge` is called."""
        return True if is_loopback(self._host) else client_context(self._authority(name))

    async def start_central(self) -> None:
        """Start the platform and wait until it answers."""
        # The node remembers this address, so a restart must not move.
        tries = 20 if self.central is None else 1
        config = self._configure("central", f'host = "{self._host}"\nport = {self._central_port}\n'
                                            f"port_tries = {tries}\n")
        arguments = ["central", "run", "--config", str(config)]
        self.central = Service("central platform", arguments, self.folder / "central.log")
        url = self.central.wait_ready()
        self._central_port = int(url.rpartition(":")[2])

    def start_node(self, code: str) -> None:
        """Enrol the node with a one-time code and start it."""
        more = f'[listen]\nhost = "{self._host}"\n[central]\npoll_s = 20\n'
        if not is_loopback(self._host):
            authority = self.folder / "central" / "tls" / "authority.crt"
            more += f"authority = {_quoted(authority)}\n"
        config = self._configure("edge", more)
        arguments = [
            sys.executable, "-m", "kanhe", "edge", "enrol", "--config", str(config),
            "--url", self.central_url, "--code", code, "--name", "demo desk",
        ]
        done = subprocess.run(  # noqa: S603 - our own program
            arguments, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise OperatingError(f"the node couldn't be enrolled: {done.stderr.strip()}")
        self.run_node()

    def run_node(self) -> None:
        """Start the enrolled node and wait until it answers."""
        arguments = ["edge", "run", "--config", str(self.folder / "edge.toml")]
        self.node = Service("node", arguments, self.folder / "node.log")
        self.node.wait_ready()

    async def admin(
        self, method: str, path: str, body: object = None, data: bytes = b""
    ) -> dict[str, Any]:
        """Make one administrator's call."""
        token = (self.folder / "central" / "keys" / "admin.token").read_text("ascii").strip()
        payload = orjson.dumps(body) if body is not None else data
        return await self._call(token, method, path, payload)

    async def found(self) -> None:
        """Register a gate and all holders with photographs, credentials and wallets.

        Where a node runs, it knows them afterwards.

        Raises:
            OperatingError: It doesn't in time.
        """
        gate = await self.admin("POST", "/v1/gates", {"label": "demo desk", "scenes": SCENES})
        self.gate_credential = gate["credential"]
        for person in PEOPLE:
            await self._settle(person)
        if self.node is not None:
            await self.taken_up()

    async def taken_up(self) -> None:
        """Wait until the node has taken up whatever was changed at the platform before.

        Raises:
            OperatingError: It hasn't in time.
        """
        changes = (await self.admin("GET", "/v1/status"))["counters"]["changes"]
        headers = {"Authorization": f"Bearer {self.gate_credential}"}
        try:
            async with (asyncio.timeout(TAKEN_UP_S_MAX),
                        aiohttp.ClientSession(headers=headers) as session):
                while not await self._has_taken_up(session, changes):
                    await asyncio.sleep(TAKEN_UP_POLL_S)
        except TimeoutError as error:
            raise OperatingError(f"the node hasn't taken up {changes} changes of the platform "
                                 f"after {TAKEN_UP_S_MAX:.0f} s: see its log") from error

    async def add_account(self, name: str, role: str, password: str) -> None:
        """Let somebody sign in: at the platform and, by the command line, at the node."""
        await self.admin("POST", "/v1/accounts", {
            "name": name, "role": role, "password": password})
        command = [sys.executable, "-m", "kanhe", "edge", "account", name, "--role", role,
                   "--config", str(self.folder / "edge.toml")]
        await asyncio.to_thread(
            subprocess.run, command, input=password + "\n", text=True, check=True,
            capture_output=True)

    async def pairing_code(self, key: str) -> str:
        """Give a one-time code for another wallet of a holder."""
        holder_id = self.holders[key]
        return str((await self.admin("POST", f"/v1/holders/{holder_id}/wallet-codes"))["code"])

    async def set_status(self, key: str, type_: str, status: str) -> None:
        """Suspend, restore or revoke a credential."""
        path = f"/v1/credentials/{self.credentials[key, type_]}/status"
        await self.admin("POST", path, {"status": status, "reason": "the demo's story"})

    def stop(self) -> None:
        """Stop both."""
        for service in (self.node, self.central):
            if service is not None:
                service.stop()

    async def _has_taken_up(self, session: aiohttp.ClientSession, changes: int) -> bool:
        async with session.get(self.node_url + "/v1/status", ssl=self.tls("edge")) as response:
            # A gate that was just made is not known at once.
            if response.status != 200:
                return False
            taken: int = (await response.json())["feed"]["cursor"]
            return taken >= changes

    async def _settle(self, person: Person) -> None:
        holder = await self.admin(
            "POST", "/v1/holders", {"name": person.name, "number": person.id_number}
        )
        holder_id = holder["holder_id"]
        await self.admin("POST", f"/v1/holders/{holder_id}/consents", {
            "purpose": "face_verification", "given": True, "how": "signed at the counter (demo)"})
        photograph = simplejpeg.encode_jpeg(load_portrait(person), PORTRAIT_QUALITY)
        await self.admin("POST", f"/v1/holders/{holder_id}/photograph", data=photograph)
        for type_, fields in credentials_of(person).items():
            issued = await self.admin("POST", "/v1/credentials", {
                "holder_id": holder_id, "type": type_, "fields": fields,
                "valid_until": "2036-05-01",
            })
            self.credentials[person.key, type_] = issued["credential_id"]
        self.holders[person.key] = holder_id
        code = await self.admin("POST", f"/v1/holders/{holder_id}/wallet-codes")
        paired = await self._call("", "POST", "/v1/wallets", orjson.dumps({"code": code["code"]}))
        delivered = await self._call(paired["token"], "GET", "/v1/wallet", b"")
        cards = await self._call(paired["token"], "GET", "/v1/wallet/cards", b"")
        self.wallets[person.key] = Wallet({**delivered, **cards})

    async def _call(self, token: str, method: str, path: str, body: bytes) -> dict[str, Any]:
        authority = None if is_loopback(self._host) else self._authority("central")
        answer: dict[str, Any] = orjson.loads(await call(
            self.central_url, token, method, path, body, authority=authority))
        return answer

    def _authority(self, name: str) -> bytes:
        return (self.folder / name / "tls" / "authority.crt").read_bytes()

    def _reached(self, url: str, name: str) -> str:
        return url if is_loopback(self._host) else url.replace(self._host, name)

    def _configure(self, name: str, more: str) -> Path:
        path = self.folder / f"{name}.toml"
        text = (
            f"data_dir = {_quoted(self.folder / name)}\npacks_dir = {_quoted(self._packs)}\n{more}"
        )
        path.write_text(text, "utf-8")
        return path


def credentials_of(person: Person) -> dict[str, dict[str, str]]:
    """Give the fields of a person's credentials, by type."""
    return {
        "resident_id": {
            "name": person.name, "sex": person.sex, "nation": "汉",
            "birth_date": person.birth_date, "address": "浙江省宁波市海曙区示例路 1 号",
            "id_number": person.id_number, "authority": "宁波市公安局海曙分局",
        },
        "driving_licence": {
            "name": person.name, "licence_number": person.id_number, "vehicle_class": "C1",
            "first_issue_date": "2015-03-02", "file_number": "330200000001",
            "authority": "宁波市公安局交通警察支队",
        },
    }


def _quoted(path: Path) -> str:
    return orjson.dumps(str(path.resolve())).decode()
