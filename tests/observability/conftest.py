"""A real Prometheus before a real city: platform, node and Prometheus as processes of their own."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import time
import uuid
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
import yaml

from edge.protocol.kh1 import step_at
from kanhe.demo.city import City
from kanhe.demo.frames import face_frame, phone_frame
from kanhe.demo.people import PEOPLE, load_portrait

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PROMETHEUS = shutil.which("prometheus")
SCRAPE = "500ms"
READY_S = 30.0


class Monitored:
    """A city that is scraped, and the answers it gave."""

    def __init__(self, city: City, url: str) -> None:
        self.city, self.url, self.answers = city, url, []

    async def verify(self, scene: str, key: str, *, step_shift: int = 0, altered: bool = False,
                     type_: str = "resident_id", face: str = "", frame: bool = False) -> dict:
        code = self.city.wallets[key].code(type_, step_at(time.time()) + step_shift)
        code = code[:-3] + ("000" if code[-3:] != "000" else "100") if altered else code
        form = aiohttp.FormData(default_to_multipart=True)
        form.add_field("scene", scene)
        form.add_field("request_id", uuid.uuid4().hex)
        if frame:
            form.add_field("code_image", phone_frame(code, seed=1), filename="code.jpg")
        else:
            form.add_field("presentation", code)
        if face:
            person = next(person for person in PEOPLE if person.key == face)
            form.add_field("face_image", face_frame(load_portrait(person), seed=2),
                           filename="face.jpg")
        headers = {"Authorization": f"Bearer {self.city.gate_credential}"}
        async with (aiohttp.ClientSession(headers=headers) as session,
                    session.post(self.city.node_url + "/v1/verifications", data=form) as response):
            answer = await response.json()
        self.answers.append(answer)
        return answer

    async def query(self, expr: str) -> list[dict]:
        return (await self.ask("query", query=expr))["result"]

    async def ask(self, what: str, **parameters: str) -> dict:
        async with (aiohttp.ClientSession() as session,
                    session.get(f"{self.url}/api/v1/{what}", params=parameters) as response):
            body = await response.json()
        assert body["status"] == "success", body
        return body["data"]

    async def traffic(self, seconds: float) -> None:
        """Make answers of every kind for a while."""
        end, turn = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            key = ("bao", "lin", "fang", "shi", "ma")[turn % 5]
            await self.verify("office.gatehouse", key)
            await self.verify("office.gatehouse", key)
            await self.verify("office.gatehouse", key, altered=True)
            await self.verify("office.gatehouse", key, step_shift=-12)
            if turn % 3 == 0:
                await self.verify("hotel.checkin", key, step_shift=1, face=key, frame=True)
            turn += 1
            await asyncio.sleep(0.1)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def configured(folder: Path, city: City) -> Path:
    """Give the committed configuration with the city's addresses, scraped often."""
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": SCRAPE, "evaluation_interval": SCRAPE}
    config["rule_files"] = [str(DEPLOY / "prometheus" / "rules.yml")]
    for job, url in zip(config["scrape_configs"], (city.node_url, city.central.url), strict=True):
        job["static_configs"][0]["targets"] = [url.partition("//")[2]]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


@contextlib.contextmanager
def prometheus(folder: Path, city: City):
    port = free_port()
    process = subprocess.Popen(
        [PROMETHEUS, f"--config.file={configured(folder, city)}",
         "--enable-feature=exemplar-storage",
         f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=(folder / "prometheus.log").open("wb"),
        env={**os.environ, "GOMAXPROCS": "1"})
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


async def until_ready(url: str) -> None:
    end = time.monotonic() + READY_S
    async with aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{url}/-/ready") as response:
                    if response.status == 200:
                        return
            assert time.monotonic() < end, "Prometheus didn't become ready"
            await asyncio.sleep(0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def monitored(tmp_path_factory, face_pack_dir):
    if PROMETHEUS is None:
        pytest.skip("no prometheus is installed")
    folder = tmp_path_factory.mktemp("monitored")
    city = City(folder, face_pack_dir.parent)
    try:
        await city.start_central()
        city.start_node((await city.admin("POST", "/v1/node-codes"))["code"])
        await city.found()
        with prometheus(folder, city) as (_, url):
            await until_ready(url)
            found = Monitored(city, url)
            await found.traffic(12.0)
            await asyncio.sleep(2.0)
            yield found
    finally:
        city.stop()
