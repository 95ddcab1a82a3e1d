"""Servers under load as processes of their own, and the calls that are made to them."""

import base64
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.harness_http import GATE_SECRET, SCENE, credential_id, epoch_keys
from edge.hotpath.keys import DerivedKeys
from edge.hotpath.wallet import derive_wallet_keys, make_presentation
from edge.protocol.kh1 import SUITE_COMPACT, key_epoch_of

TOKEN = base64.urlsafe_b64encode(GATE_SECRET).decode().rstrip("=")


@contextmanager
def served(side: str, folder: Path, core: int) -> Iterator[tuple[int, int]]:
    """Serve one surface of `bench.harness_http` on one core; gives its port and process."""
    server = subprocess.Popen(
        ["taskset", "-c", str(core), sys.executable, "-m", "bench.harness_http", side,
         str(folder)], stdout=subprocess.PIPE, text=True,
    )
    try:
        assert server.stdout is not None
        yield int(server.stdout.readline()), server.pid
    finally:
        server.kill()
        server.wait()


def codes_of(numbers: Sequence[int], step: int) -> Iterator[str]:
    """Give genuine codes of credentials with these numbers."""
    epoch = DerivedKeys(epoch_keys(key_epoch_of(step)))
    for number in numbers:
        yield make_presentation(
            derive_wallet_keys(epoch, SUITE_COMPACT, credential_id(number)), step)


def request_of(
    code: str, *, gate: str = "bench", scene: str = SCENE, face: bytes | None = None
) -> bytes:
    """Give one whole request, with a `request_id` that never was before."""
    more = f',"face_image":"{base64.b64encode(face).decode()}"' if face is not None else ""
    body = (f'{{"scene":"{scene}","request_id":"{time.time_ns()}-{os.urandom(4).hex()}",'
            f'"presentation":"{code}"{more}}}')
    return (
        f"POST /v1/verifications HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {gate}.{TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()
