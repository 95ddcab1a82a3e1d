"""One city whose services a test starts and stops as a machine's supervisor would."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import orjson
import pytest_asyncio

from tests.fakes.running_city import running_city

ROOT = Path(__file__).resolve().parents[2]
READY_S = 120.0


class Started:
    """A command that was started, with an environment as bare as a supervisor's."""

    def __init__(self, command: list[str], *, cwd: Path, before: list[str] | None = None,
                 code: Path = ROOT) -> None:
        environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONPATH": str(code),
                       "PYTHONDONTWRITEBYTECODE": "1"}
        self.errors = cwd / "stderr.log"
        self._process = subprocess.Popen(
            [*(before or []), *command], cwd=cwd, env=environment, stdout=subprocess.PIPE,
            stderr=self.errors.open("ab"), stdin=subprocess.DEVNULL)
        self._lines: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.pid = self._process.pid

    def _read(self) -> None:
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def url(self) -> str:
        """Wait until it says that it is ready, and where."""
        end = time.monotonic() + READY_S
        while True:
            line = self._lines.get(timeout=max(0.1, end - time.monotonic()))
            assert line, self.errors.read_text()[-2_000:]
            if b'"ready"' in line:
                return orjson.loads(line)["url"]

    def stop(self, seconds: float = 30.0) -> int:
        """Stop it as a supervisor does, and give its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(seconds)
        finally:
            self._process.kill()
            self._process.wait()


def kanhe(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "kanhe", *arguments]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def city(tmp_path_factory, face_pack_dir):
    """A city whose node is enrolled and filled, and stopped."""
    async with running_city(tmp_path_factory.mktemp("site"), face_pack_dir.parent) as city:
        city.node.stop()
        yield city
