"""A real platform and node, a crowd registered over HTTP, and the load test as a program."""

import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from edge.errors import ConfigError
from kanhe.commands.loadtest import fill_city
from kanhe.demo.crowd import Size, gather_crowd
from tests.fakes.running_city import FarCity

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def loaded(tmp_path, face_pack_dir):
    city = FarCity(tmp_path, face_pack_dir.parent)
    said = []
    try:
        await fill_city(city, tmp_path / "load", Size(credentials=200, gates=4), said.append)
        yield city
    finally:
        city.stop()


def run_load(city, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", "--target", city.node_url, "--data",
         str(city.folder / "load"), "--report", str(city.folder / "report.html"), *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return msgspec.json.decode(done.stdout)


async def test_a_node_accepts_everything_that_honest_gates_ask(loaded):
    line = run_load(loaded, "--rate", "5", "--duration", "4", "--warm", "0", "--timeout", "30",
                    "--deadline", "30", "--arrivals", "poisson",
                    "--mix", "code=0.6,face=0.2,capture=0.2")
    assert set(line["outcomes"]) == {"code", "face", "capture"}
    assert all(list(found) == ["accept/ok"] for found in line["outcomes"].values())
    assert line["due"] == line["good"] > 8
    assert "<svg" in (loaded.folder / "report.html").read_text()
    for name in ("wallets.jsonl", "gates.jsonl"):
        assert stat.S_IMODE((loaded.folder / "load" / name).stat().st_mode) == 0o600


async def test_a_crowd_isnt_gathered_over_another_one(tmp_path):
    (tmp_path / "wallets.jsonl").write_bytes(b"{}")
    with pytest.raises(ConfigError, match="another folder"):
        await gather_crowd(None, tmp_path, Size(), print)
    with pytest.raises(ConfigError, match="credentials"):
        await gather_crowd(None, tmp_path / "x", Size(credentials=0), print)
