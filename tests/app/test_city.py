"""The whole city as real processes: the demo, and a node that is killed."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge.audit.verify import verify_journal
from edge.protocol.kh1 import step_at
from kanhe.demo.frames import face_frame
from kanhe.demo.people import PEOPLE, load_portrait
from tests.fakes.running_city import running_city, verified

ROOT = Path(__file__).resolve().parents[2]
SHIPPED_S_MAX = 30.0


@pytest.mark.parametrize("host", [[], ["--host", "0.0.0.0"]], ids=["loopback", "network"])
def test_the_demo_gives_every_expected_answer(face_pack_dir, host):
    done = subprocess.run(
        [sys.executable, "-m", "kanhe", "demo", "--once", *host], cwd=ROOT, capture_output=True,
        text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "22 as expected, 0 not" in done.stdout


@pytest.fixture
async def city(tmp_path, face_pack_dir):
    async with running_city(tmp_path, face_pack_dir.parent) as city:
        yield city


async def test_a_killed_node_answers_the_same_request_again_and_refuses_the_code(city):
    person = PEOPLE[0]
    body = {"request_id": "before-the-kill",
            "presentation": city.wallets[person.key].code("resident_id", step_at(time.time()))}
    face = face_frame(load_portrait(person), seed=3)

    async def post(**differently):
        return await verified(city, "hotel.checkin", body | differently, {"face_image": face})

    first = await post()
    assert (first["decision"], first["reason"]) == ("accept", "ok")
    os.kill(city.node.pid, signal.SIGKILL)
    city.node.wait()
    city.run_node()
    assert await post() == first
    again = await post(request_id="after-the-kill")
    assert again["reason"] in {"presentation_replayed", "step_expired"}
    assert again["decision"] != "accept"
    async with asyncio.timeout(SHIPPED_S_MAX):
        while len(taken := (await city.admin("GET", "/v1/journal"))["records"]) < 2:
            await asyncio.sleep(0.1)
    city.node.stop()
    report = verify_journal(city.folder / "edge" / "journal")
    assert report.whole, report.problems
    leaves = [record["leaf"] for record in taken]
    assert first["receipt"]["leaf"] in leaves
    assert len(leaves) == len(set(leaves))
