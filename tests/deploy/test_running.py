"""What `deploy/` says is run for real: the units' command lines, the health check, the sandbox."""

import asyncio
import os
import re
import shutil
import subprocess
import time
import uuid
from pathlib import Path

import aiohttp
import pytest

from bench.http_cpu import cpu_s_of
from edge.protocol.kh1 import step_at
from tests.deploy.conftest import ROOT, Started, kanhe
from tests.fakes.loopback import free_port
from tests.observability.test_tracing import receiving

pytestmark = pytest.mark.asyncio(loop_scope="module")
SCRAPED_SHARE_MAX = 0.3
"""Of a core, for a page every 100 ms and all that a node does beside it."""
SYSTEMD = ROOT / "deploy" / "systemd"


def commands(service: str, config: Path) -> tuple[list[str], list[str], float]:
    """Give the unit's two command lines with this machine's paths, and its time to stop."""
    text = (SYSTEMD / f"kanhe-{service}.service").read_text()

    def line(key: str) -> list[str]:
        words = re.search(rf"^{key}=(.+)$", text, re.MULTILINE)[1].split()
        assert words[0] == "/opt/kanhe/bin/kanhe"
        assert words[-1] == f"/etc/kanhe/{service}.toml"
        return kanhe(*words[1:-1], str(config))

    return line("ExecStartPre"), line("ExecStart"), float(
        re.search(r"^TimeoutStopSec=(\d+)s$", text, re.MULTILINE)[1])


async def verify(city, url: str) -> dict:
    body = {"scene": "office.gatehouse", "request_id": uuid.uuid4().hex,
            "presentation": city.wallets["bao"].code("resident_id", step_at(time.time()))}
    headers = {"Authorization": f"Bearer {city.gate_credential}"}
    async with (aiohttp.ClientSession(headers=headers) as session,
                session.post(url + "/v1/verifications", json=body) as response):
        return await response.json()


def health(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(kanhe("health", *arguments), cwd=ROOT, capture_output=True, text=True,
                          check=False, timeout=30)


async def test_the_node_of_the_unit_starts_answers_is_healthy_and_stops(city, tmp_path):
    config = tmp_path / "edge.toml"
    port, text = free_port(), (city.folder / "edge.toml").read_text()
    config.write_text(text.replace("[listen]\n", f"[listen]\nport = {port}\nport_tries = 1\n"))
    check, run, stop_s = commands("edge", config)
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert health("edge", "--config", str(config)).returncode == 1
    node = Started(run, cwd=tmp_path)
    try:
        url = node.url()
        assert (await verify(city, url))["reason"] in {"ok", "presentation_replayed"}
        sound = health("edge", "--config", str(config))
        assert (sound.returncode, sound.stdout) == (0, "ready\n")
        busy = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False,
                              timeout=60)
        assert busy.returncode == 1
        assert f"{port} is in use" in busy.stderr
    finally:
        assert node.stop(stop_s) == 0, node.errors.read_text()[-2_000:]


async def test_a_scraper_every_100_ms_gets_its_pages_and_leaves_the_node_its_time(city, tmp_path):
    config = city.folder / "edge.toml"
    node = Started(kanhe("edge", "run", "--config", str(config)), cwd=tmp_path)
    try:
        url = await asyncio.to_thread(node.url)
        async with aiohttp.ClientSession() as session:

            async def scrape() -> None:
                async with session.get(url + "/metrics") as response:
                    assert response.status == 200
                    assert b"kanhe_build_info" in await response.read()

            await scrape()
            began, before = time.monotonic(), cpu_s_of(node.pid)
            for number in range(30):
                await scrape()
                if number % 10 == 0:
                    assert (await verify(city, url))["decision"] in {"accept", "reject"}
                await asyncio.sleep(max(0.0, began + (number + 1) * 0.1 - time.monotonic()))
            share = (cpu_s_of(node.pid) - before) / (time.monotonic() - began)
        assert share < SCRAPED_SHARE_MAX, f"{share:.2f} of a core"
    finally:
        assert await asyncio.to_thread(node.stop) == 0, node.errors.read_text()[-2_000:]


async def test_a_node_with_tracing_on_sends_what_it_answered(city, tmp_path):
    async with receiving() as receiver:
        config = tmp_path / "edge.toml"
        config.write_text((city.folder / "edge.toml").read_text() +
                          f'\n[tracing]\notlp_endpoint = "{receiver.url}"\nratio = 1.0\n')
        node = Started(kanhe("edge", "run", "--config", str(config)), cwd=tmp_path)
        try:
            answer = await verify(city, await asyncio.to_thread(node.url))
        finally:
            code = await asyncio.to_thread(node.stop)
        assert code == 0, node.errors.read_text()[-2_000:]
        assert [span.trace_id.hex() for span in receiver.roots] == [answer["verification_id"]]
        assert {"kanhe.authenticate", "kanhe.journal"} <= {span.name for span in receiver.spans}


async def test_the_platform_of_the_unit_starts_is_healthy_and_stops(tmp_path, face_pack_dir):
    config = tmp_path / "central.toml"
    config.write_text(f'data_dir = "{tmp_path / "data"}"\npacks_dir = "{face_pack_dir.parent}"\n'
                      f"port = {free_port()}\n")
    check, run, stop_s = commands("central", config)
    assert subprocess.run(check, cwd=ROOT, capture_output=True, check=False,
                          timeout=60).returncode == 0
    platform = Started(run, cwd=tmp_path)
    try:
        port = platform.url().rpartition(":")[2]
        os.environ["KANHE_CENTRAL__PORT"] = port
        try:
            assert health("central", "--config", str(config)).returncode == 0
        finally:
            del os.environ["KANHE_CENTRAL__PORT"]
    finally:
        assert platform.stop(stop_s) == 0, platform.errors.read_text()[-2_000:]


def read_only_root(*writable: Path) -> list[str] | None:
    """Give what puts a command behind a read-only root, None where this user may not do that."""
    binds = "".join(f"mount --bind {path} {path} && " for path in writable)
    before = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
              f'{binds} mount -o remount,ro,bind / && exec "$@"', "sh"]
    if shutil.which("unshare") is None or subprocess.run(
        [*before, "sh", "-c", "! touch /read-only-root"], capture_output=True, check=False,
        timeout=20,
    ).returncode:
        return None
    return before


async def test_a_node_with_a_read_only_root_writes_only_its_data_folder(
    city, tmp_path, face_pack_dir
):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    data = city.folder / "edge"
    before = read_only_root(data, scratch)
    if before is None:
        pytest.skip("this user can't make a mount namespace")
    # As in the image: the face pack is made in the data folder.
    shutil.copytree(face_pack_dir, data / "packs" / face_pack_dir.name, dirs_exist_ok=True)
    config = tmp_path / "edge.toml"
    config.write_text(f'data_dir = "{data}"\n')
    node = Started(kanhe("edge", "run", "--config", str(config)), cwd=scratch, before=before)
    try:
        url = node.url()
        for _ in range(3):
            assert (await verify(city, url))["reason"] in {"ok", "presentation_replayed"}
        mounts = Path(f"/proc/{node.pid}/mountinfo").read_text()
        root = next(line for line in mounts.splitlines() if line.split()[4] == "/")
        assert root.split()[5].startswith("ro")
    finally:
        assert node.stop() == 0, node.errors.read_text()[-2_000:]
