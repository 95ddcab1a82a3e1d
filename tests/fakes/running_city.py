"""A real city that runs: platform and node as processes of their own, holders registered."""

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from kanhe.demo.city import City
from tests.fakes.loopback import free_port


class FarCity(City):
    """A city at a port of its own, which nobody takes while its platform is dead."""

    def __init__(self, folder: Path, packs: Path) -> None:
        super().__init__(folder, packs)
        self._central_port = free_port()


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
