"""Owns the child in which zbar reads, and replaces it when it dies or hangs.

- One frame at a time; a frame that takes too long costs the child its life.
- zbar re-encodes octets above 0x7F, so only plain ASCII is believed.
- Without libzbar the rung is off: `available` says so, everything else goes on.
"""

import contextlib
import os
import select
import struct
import subprocess
import sys
import threading
import time

import numpy as np

from edge.capture.zbar_worker import EXIT_NO_ZBAR
from edge.imaging import Grey

START_TIMEOUT_S = 10.0
RESPAWN_INTERVAL_S = 1.0
ANSWER_BYTES_MAX = 64 * 1024


class ZbarChild:
    """Reads planes in a process of its own."""

    def __init__(self) -> None:
        """Start nothing yet; the first frame does."""
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._missing = False
        self._spawned_at = -RESPAWN_INTERVAL_S
        self.deaths = 0

    @property
    def available(self) -> bool:
        """Whether libzbar was there when it was last looked for."""
        return not self._missing

    @property
    def pid(self) -> int | None:
        """The child's process id, if one runs."""
        return self._process.pid if self._process else None

    def warm(self) -> bool:
        """Start the child; tell whether it is there."""
        with self._lock:
            return self._ensure()

    def read(self, plane: Grey, timeout_s: float) -> tuple[str, ...]:
        """Read one plane; nothing if zbar is missing, dies or takes too long."""
        deadline = time.monotonic() + timeout_s
        if not self._lock.acquire(timeout=max(0.0, timeout_s)):
            return ()
        try:
            if not self._ensure():
                return ()
            return self._exchange(np.ascontiguousarray(plane), deadline)
        except (OSError, EOFError, TimeoutError, struct.error):
            self.deaths += 1
            self._kill()
            return ()
        finally:
            self._lock.release()

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._kill()

    def _ensure(self) -> bool:
        """Have a running child, if zbar is there and the last one isn't just dead."""
        if self._missing:
            return False
        if self._process is not None and self._process.poll() is None:
            return True
        self._kill()
        if time.monotonic() - self._spawned_at < RESPAWN_INTERVAL_S:
            return False
        self._spawned_at = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edge.capture.zbar_worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
        )
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        try:
            ready = self._receive(4, time.monotonic() + START_TIMEOUT_S) == b"zbar"
        except (OSError, EOFError, TimeoutError):
            ready = False
        if not ready:
            self._missing = self._process.wait(START_TIMEOUT_S) == EXIT_NO_ZBAR
            self._kill()
        return ready

    def _exchange(self, plane: Grey, deadline: float) -> tuple[str, ...]:
        self._send(struct.pack(">II", *plane.shape) + plane.tobytes(), deadline)
        (count,) = struct.unpack(">I", self._receive(4, deadline))
        texts = []
        for _ in range(count):
            (length,) = struct.unpack(">I", self._receive(4, deadline))
            if length > ANSWER_BYTES_MAX:
                raise EOFError
            content = self._receive(length, deadline)
            if content.isascii():
                texts.append(content.decode("ascii"))
        return tuple(dict.fromkeys(texts))

    def _send(self, data: bytes, deadline: float) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        fd, view = self._process.stdin.fileno(), memoryview(data)
        while view:
            _, writable, _ = select.select([], [fd], [], _left(deadline))
            if not writable:
                raise TimeoutError
            view = view[os.write(fd, view) :]

    def _receive(self, length: int, deadline: float) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        fd, parts = self._process.stdout.fileno(), b""
        while len(parts) < length:
            readable, _, _ = select.select([fd], [], [], _left(deadline))
            if not readable:
                raise TimeoutError
            piece = os.read(fd, length - len(parts))
            if not piece:
                raise EOFError
            parts += piece
        return parts

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())
