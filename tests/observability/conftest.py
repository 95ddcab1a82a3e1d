"""A real Prometheus before a real city: platform, node and Prometheus as processes of their own."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
import yaml

from edge.protocol.kh1 import step_at
from kanhe.demo.city import City
from kanhe.demo.frames import face_frame, phone_frame
from kanhe.demo.people import PEOPLE, load_portrait
from tests.fakes.loopback import free_port
from tests.fakes.running_city import running_city, verified
from tests.fakes.waiting import until

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
PROMETHEUS = shutil.which("prometheus")
SCRAPE = "500ms"
READY_S = 30.0
BUSY_S = 6.0
SEEN_S_MAX = 60.0
"""By when a busy machine's Prometheus has seen what happened: three scrapes, normally."""


class Monitored:
    """A city that is scraped, and the answers it gave."""

    def __init__(self, city: City, url: str) -> None:
        self.city, self.url, self.answers = city, url, []

    async def verify(self, scene: str, key: str, *, step_shift: int = 0, altered: bool = False,
                     type_: str = "resident_id", face: str = "", frame: bool = False) -> dict:
        code = self.city.wallets[key].code(type_, step_at(time.time()) + step_shift)
        code = code[:-3] + ("000" if code[-3:] != "000" else "100") if altered else code
        images = {"code_image": phone_frame(code, seed=1)} if frame else {}
        if face:
            person = next(person for person in PEOPLE if person.key == face)
            images["face_image"] = face_frame(load_portrait(person), seed=2)
        fields = {} if frame else {"presentation": code}
        answer = await verified(self.city, scene, fields, images)
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

    async def counted(self) -> dict[tuple[str, str], int]:
        """Give how many answers Prometheus has seen, by decision and reason."""
        found = await self.query("sum by (decision, reason) (kanhe_verifications_total)")
        return {(sample["metric"]["decision"], sample["metric"]["reason"]):
                int(float(sample["value"][1])) for sample in found}

    async def scraped(self) -> None:
        """Wait until Prometheus has seen every answer that was given."""
        await until(lambda: self._scraped(len(self.answers)), SEEN_S_MAX)

    async def _scraped(self, count: int) -> bool:
        return sum((await self.counted()).values()) >= count

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


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def monitored(tmp_path_factory, face_pack_dir):
    if PROMETHEUS is None:
        pytest.skip("no prometheus is installed")
    folder = tmp_path_factory.mktemp("monitored")
    async with running_city(folder, face_pack_dir.parent) as city:
        with prometheus(folder, city) as (_, url):
            await until_ready(url)
            yield Monitored(city, url)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def busy(monitored):
    """A monitored city whose last seconds hold answers of every kind, scraped often enough."""
    await monitored.traffic(BUSY_S)
    await monitored.scraped()
    return monitored
