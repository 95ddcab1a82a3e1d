"""Starts the real programs of the demo and stops them again.

- The demo runs `kanhe central run` and `kanhe edge run` as anyone would, each a
  process of its own with its configuration file in the demo's folder.
- A service says `ready` with its address in one JSON line on standard output.
- Only processes started here are ended here.
"""

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, Queue

import orjson

from edge.errors import OperatingError

READY_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 15.0
LOG_TAIL_LINES = 15


class Service:
    """One running program.

    Attributes:
        name: For messages.
        url: Its address, once ready.
    """

    def __init__(self, name: str, arguments: Sequence[str], log: Path) -> None:
        """Start `kanhe ARGUMENTS…`; standard error goes to `log`."""
        self.name = name
        self.url = ""
        self._log = log
        self._lines: Queue[bytes] = Queue()
        self._process = subprocess.Popen(  # noqa: S603 - our own program, fixed arguments
            [sys.executable, "-m", "kanhe", *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log.open("ab"),
        )
        self._reader = threading.Thread(target=self._read, name=f"{name}-out", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> str:
        """Wait for the line that says `ready` and give the address in it.

        Raises:
            OperatingError: It ended or didn't become ready; the message holds its last words.
        """
        while True:
            try:
                line = self._lines.get(timeout=timeout_s)
            except Empty:
                raise OperatingError(f"{self.name} wasn't ready in {timeout_s:.0f} s") from None
            if not line:
                raise OperatingError(f"{self.name} ended at its start:\n{self._tail()}")
            with contextlib.suppress(orjson.JSONDecodeError):
                message = orjson.loads(line)
                if isinstance(message, dict) and message.get("event") == "ready":
                    self.url = str(message["url"])
                    return self.url

    def stop(self) -> None:
        """Ask it to stop, and end it if it doesn't."""
        if self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait(self) -> int:
        """Wait until it ends and give its exit code."""
        return self._process.wait()

    def _tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])
