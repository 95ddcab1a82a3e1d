"""A PostgreSQL of our own: from installed binaries, in a folder of its own, on a socket there."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

USER = "kanhe"
READY_S_MAX = 30.0
ROOM_BYTES = 4 << 30
"""Far more than the databases of all tests take together (some 10 MiB each)."""


def installed() -> Path | None:
    """Find the folder of PostgreSQL's programs, the newest first."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    found = [folder for folder in folders if (folder / "postgres").exists()]
    if found:
        return found[-1]
    program = shutil.which("postgres")
    return Path(program).resolve().parent if program else None


def why_absent() -> str:
    """Say what is missing, empty if nothing is."""
    if installed() is None:
        return "no PostgreSQL is installed (Debian: postgresql)"
    if os.geteuid() == 0 and (_other_account() is None or shutil.which("setpriv") is None):
        return "PostgreSQL refuses to run as root, and there is no account `postgres` or no setpriv"
    return ""


def room() -> Path | None:
    """Give memory to keep it in where there is plenty: many small databases are slow on a disk."""
    shared = Path("/dev/shm")
    if not shared.is_dir() or shutil.disk_usage(shared).free < ROOM_BYTES:
        return None  # wherever temporary files are
    return shared


class Postgres:
    """One server with any number of databases."""

    def __init__(self) -> None:
        self._bin = installed()
        self.folder = Path(tempfile.mkdtemp(prefix="kanhe-pg-", dir=room()))
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        account = _other_account() if os.geteuid() == 0 else None
        self._as: list[str] = []
        if account is not None:
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self._as = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}",
                        "--clear-groups"]
        subprocess.run(
            [*self._as, self._bin / "initdb", "-D", self._data, "-U", USER, "-A", "trust",
             "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"],
            check=True, capture_output=True, cwd=self.folder)
        self.start()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        assert self._process is None
        self._process = subprocess.Popen(
            [*self._as, self._bin / "postgres", "-D", self._data, "-k", self.folder, "-c",
             "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=60"],
            cwd=self.folder, stdout=subprocess.DEVNULL, stderr=(self.folder / "log").open("ab"))
        deadline = time.monotonic() + READY_S_MAX
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop: SIGINT cuts connections in order, SIGQUIT as a crash would."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(60)

    def restart(self, how: signal.Signals = signal.SIGINT, away_s: float = 0.0) -> None:
        self.stop(how)
        time.sleep(away_s)
        self.start()

    def url(self, name: str) -> str:
        return f"postgresql://{USER}@/{name}?host={self.folder}"

    def new_database(self) -> str:
        """Make an empty database and give its address."""
        self._made += 1
        name = f"city{self._made}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url(name)

    def close(self) -> None:
        self.stop(signal.SIGQUIT)  # nothing is to be kept, so nothing need be written back
        shutil.rmtree(self.folder, ignore_errors=True)


def _other_account() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return None
