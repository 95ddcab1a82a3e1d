"""The same codes for those who live with Locust.

- `KANHE_LOADTEST_DATA=DIR locust -f loadtest/locustfile.py --host http://127.0.0.1:8080`; it needs
  the package locust, which isn't installed by default.
- Locust is a closed loop: a stalled node isn't asked any more, so its percentiles are kinder than
  those of `python -m loadtest`. Capacity and latency are measured with that.
- Loopback only, unless KANHE_LOADTEST_ALLOW_REMOTE names the host.
- The mix is KANHE_LOADTEST_MIX, by default `code=1`.
"""

import os
import time
from pathlib import Path

import msgspec
from locust import FastHttpUser, between, events, task
from locust.env import Environment

from edge.protocol.kh1 import SUITE_COMPACT
from loadtest.data import load_data
from loadtest.errors import LoadTestError
from loadtest.scenes import Mix, Reply, Scenes, parse_shares
from loadtest.target import parse_target

_ENDED = ("accept", "ok")


class _City:
    """What all users of this process share."""

    scenes: Scenes


@events.init.add_listener
def _prepare(environment: Environment, **_: object) -> None:
    """Check the host and read the city's data before anybody starts."""
    try:
        target = parse_target(
            environment.host or "", os.environ.get("KANHE_LOADTEST_ALLOW_REMOTE", ""),
            "set KANHE_LOADTEST_ALLOW_REMOTE=")
        data = load_data(Path(os.environ.get("KANHE_LOADTEST_DATA", "")))
        mix = Mix(shares=parse_shares(os.environ.get("KANHE_LOADTEST_MIX", "code=1")))
        _City.scenes = Scenes(data, mix, target, suite=SUITE_COMPACT,
                              run=f"locust-{time.time_ns():x}", now=time.time)
    except LoadTestError as error:
        raise SystemExit(f"locustfile: {error}") from error


class GateUser(FastHttpUser):  # type: ignore[misc]
    """A gate with a queue of people before it."""

    wait_time = between(0.05, 0.2)

    @task
    def verify(self) -> None:
        """Show one code."""
        ask = _City.scenes.next()
        if isinstance(ask, str):
            return
        reply = self._post(ask.kind, "/v1/verifications", ask.data)
        if ask.kind == "capture" and reply is not None:
            path = f"/v1/verifications/{reply.verification_id}/captures"
            self._post("capture, face", path, _City.scenes.capture(ask, reply.verification_id))

    def _post(self, name: str, path: str, request: bytes) -> Reply | None:
        """Send a request of the simulator by Locust's client."""
        head, _, body = request.partition(b"\r\n\r\n")
        lines = (line.partition(": ") for line in head.decode("ascii").split("\r\n")[1:])
        headers = {key: value for key, _, value in lines if key not in ("Host", "Content-Length")}
        with self.client.post(path, data=body, headers=headers, name=name,
                              catch_response=True) as response:
            if response.status_code != 200:
                response.failure(f"http {response.status_code}")
                return None
            reply = msgspec.json.decode(response.content, type=Reply)
            first = name == "capture" and reply.reason == "face_absent"
            if not first and (reply.decision, reply.reason) != _ENDED:
                response.failure(f"{reply.decision}/{reply.reason}")
            return reply
