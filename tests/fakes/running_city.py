"""A real city that runs: platform and node as processes of their own, holders registered."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from kanhe.demo.city import City
from tests.fakes.loopback import free_port

TAKEN_UP_S_MAX = 60.0
"""By when a node on a busy machine holds what it takes some 10 ms to hear of."""

class FarCity(City):
    """A city at a port of its own, which nobody takes while its platform is dead."""

    def __init__(self, folder: Path, packs: Path) -> None:
        super().__init__(folder, packs)
        self._central_port = free_port()

    async def found(self) -> None:
        """Register a gate and all holders, and have the node know them."""
        await super().found()
        if self.node is not None:
            await self.taken_up()

    async def taken_up(self) -> None:
        """Wait until the node has taken up whatever was changed at the platform before."""
        changes = (await self.admin("GET", "/v1/status"))["counters"]["changes"]
        headers = {"Authorization": f"Bearer {self.gate_credential}"}
        async with (asyncio.timeout(TAKEN_UP_S_MAX),
                    aiohttp.ClientSession(headers=headers) as session):
            while True:
                async with session.get(self.node_url + "/v1/status") as response:
                    # A gate that was just made is not known at once.
                    if response.status == 200 and (
                        (await response.json())["feed"]["cursor"] >= changes
                    ):
                        return
                await asyncio.sleep(0.02)


@asynccontextmanager
async def running_city(folder: Path, packs: Path) -> AsyncIterator[FarCity]:
    """Start it and register everybody; stop it at the end."""
    city = FarCity(folder, packs)
    try:
        await city.start_central()
        city.start_node((await city.admin("POST", "/v1/node-codes"))["code"])
        await city.found()
        yield city
    finally:
        city.stop()


async def verified(city: City, scene: str, fields: Mapping[str, str],
                   images: Mapping[str, bytes] | None = None) -> dict:
    """Ask the node as the city's gate does; a request of its own unless the fields name one."""
    form = aiohttp.FormData(default_to_multipart=True)
    for name, value in {"scene": scene, "request_id": uuid.uuid4().hex, **fields}.items():
        form.add_field(name, value)
    for name, image in (images or {}).items():
        form.add_field(name, image, filename=f"{name}.jpg")
    headers = {"Authorization": f"Bearer {city.gate_credential}"}
    async with (aiohttp.ClientSession(headers=headers) as session,
                session.post(city.node_url + "/v1/verifications", data=form) as response):
        return await response.json()
