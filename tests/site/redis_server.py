"""A Redis of our own: the installed server, on loopback, in a folder of its own."""

import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import redis

from tests.fakes.loopback import free_port

READY_S_MAX = 15.0


def why_absent() -> str:
    """Say what is missing, empty if nothing is."""
    if shutil.which("redis-server"):
        return ""
    return "no redis-server is installed (Debian: redis-server)"


class RedisServer:
    """One server that can be started again on its port."""

    def __init__(self, *options: str, port: int | None = None, sentinel: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kanhe-redis-"))
        self.port = port or free_port()
        self._options, self._sentinel = options, sentinel
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def client(self, **options) -> redis.Redis:
        return redis.Redis(port=self.port, protocol=2, **options)

    def start(self) -> None:
        assert self._process is None
        conf = self.folder / "redis.conf"
        if not conf.exists():
            # A sentinel writes what it learns into its file.
            conf.write_text(f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\n" + "".join(
                f"{line}\n" for line in ("save \"\"", "appendonly no", *self._options)
                if not (self._sentinel and line.startswith(("save", "appendonly")))))
        self._process = subprocess.Popen(
            ["redis-server", conf, *(["--sentinel"] if self._sentinel else [])],
            stdout=(self.folder / "log").open("ab"), stderr=subprocess.STDOUT)
        deadline = time.monotonic() + READY_S_MAX
        while True:
            try:
                self.client().ping()
                return
            except redis.AuthenticationError:
                return
            except redis.ConnectionError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.02)

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def restart(self) -> None:
        """End it at once and start it again: it has forgotten everything."""
        self.kill()
        self.start()

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def ensure(self) -> None:
        """Have it run, whatever it does now."""
        if self._process is None:
            self.start()
        else:
            self.resume()

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
