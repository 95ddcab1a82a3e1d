"""What gates ask: a code alone, a code with a face, a code and then a capture.

- Every request is of another wallet or step, so an honest node accepts every one of them; what
  else it says is counted by name.
- Heads are made once a gate; a request costs a code and two joins.
"""

import random
from collections.abc import Callable, Mapping, Sequence

import msgspec

from edge.protocol.kh1 import step_at
from loadtest.data import CityData, GateLine
from loadtest.errors import LoadTestError
from loadtest.target import Target
from loadtest.wallet import Crowd, Wallet

KINDS = ("code", "face", "capture")
_BOUNDARY = b"kanhe-load"
_FILE = (b'--' + _BOUNDARY + b'\r\nContent-Disposition: form-data; name="face_image"; '
         b'filename="face.jpg"\r\nContent-Type: image/jpeg\r\n\r\n')
_END = b"\r\n--" + _BOUNDARY + b"--\r\n"


class Reply(msgspec.Struct):
    """The part of an answer that a load test reads."""

    decision: str
    reason: str
    verification_id: str


class Mix(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, in which shares, in which scenes.

    Attributes:
        shares: By kind; they are divided by their sum.
        code_scene: A scene without a face.
        face_scene: A scene that asks for one; `face` and `capture` use it.
    """

    shares: Mapping[str, float]
    code_scene: str = "office.gatehouse"
    face_scene: str = "hotel.checkin"


class Ask(msgspec.Struct, frozen=True):
    """One request: its kind, gate, bytes, and the face of a capture to come."""

    kind: str
    gate: GateLine
    data: bytes
    face: bytes = b""


class Scenes:
    """Makes requests."""

    def __init__(
        self, data: CityData, mix: Mix, target: Target, *, suite: int, run: str,
        now: Callable[[], float], seed: int = 1,
    ) -> None:
        """Prepare phones and gates.

        Args:
            data: The city's files.
            mix: What is asked.
            target: For the Host header.
            suite: Of the codes.
            run: Makes this run's request ids unlike any other's.
            now: Unix seconds.
            seed: Of the order in which kinds come.

        Raises:
            LoadTestError: The mix asks for what the data doesn't hold.
        """
        self._now, self._run, self._mix = now, run, mix
        wallets = [Wallet(line, suite) for line in data.wallets]
        faced = [wallet for wallet in wallets if wallet.holder in data.faces]
        self._faces = data.faces
        self._crowds = {"code": Crowd(wallets), "face": Crowd(faced), "capture": Crowd(faced)}
        self._rng = random.Random(seed)  # noqa: S311 - an order, not a secret
        self._kinds = [kind for kind in KINDS if mix.shares.get(kind, 0.0) > 0.0]
        self._weights = [mix.shares[kind] for kind in self._kinds]
        if not self._kinds:
            raise LoadTestError(f"--mix names none of {', '.join(KINDS)}")
        if not faced and self._kinds != ["code"]:
            raise LoadTestError("the data holds no faces: --mix code=1, or make the data anew")
        self._heads = [_head(target, gate) for gate in data.gates]
        self._gates: Sequence[GateLine] = data.gates
        self._by_gate = {gate.gate_id: head for gate, head in zip(
            data.gates, self._heads, strict=True)}
        self._count = 0

    def next(self) -> Ask | str:
        """Give the next request, or the kind for which no fresh wallet was at hand."""
        kind = (self._kinds[0] if len(self._kinds) == 1
                else self._rng.choices(self._kinds, self._weights)[0])
        step = step_at(self._now())
        wallet = self._crowds[kind].next(step)
        if wallet is None:
            return kind
        self._count += 1
        code = wallet.code(step)
        gate = self._gates[self._count % len(self._gates)]
        head = self._by_gate[gate.gate_id]
        if kind == "face":
            return Ask(kind, gate, self._with_face(head, code, self._face(wallet)))
        scene = self._mix.code_scene if kind == "code" else self._mix.face_scene
        # A code is of Base45's alphabet, which JSON doesn't escape.
        body = (f'{{"scene":"{scene}","request_id":"{self._run}-{self._count}",'
                f'"presentation":"{code}"}}').encode("ascii")
        face = self._face(wallet) if kind == "capture" else b""
        return Ask(kind, gate, _request(head, b"", b"application/json", body), face)

    def capture(self, ask: Ask, verification_id: str) -> bytes:
        """Give the second request of a capture."""
        self._count += 1
        body = b"".join((
            _text("request_id", f"{self._run}-{self._count}"), _FILE, ask.face, _END))
        path = f"/{verification_id}/captures".encode("ascii")
        return _request(self._by_gate[ask.gate.gate_id], path, _MULTIPART, body)

    def _with_face(self, head: bytes, code: str, face: bytes) -> bytes:
        body = b"".join((
            _text("scene", self._mix.face_scene),
            _text("request_id", f"{self._run}-{self._count}"),
            _text("presentation", code), _FILE, face, _END))
        return _request(head, b"", _MULTIPART, body)

    def _face(self, wallet: Wallet) -> bytes:
        faces = self._faces[wallet.holder]
        return faces[self._count % len(faces)]


def parse_shares(text: str) -> dict[str, float]:
    """Parse `code=0.7,face=0.2,capture=0.1`.

    Raises:
        LoadTestError: It isn't written like that, or a share is negative.
    """
    try:
        pairs = [item.partition("=") for item in text.split(",")]
        shares = {name.strip(): float(value) for name, _, value in pairs}
    except ValueError:
        shares = {}
    if not shares or set(shares) - set(KINDS) or min(shares.values()) < 0.0:
        raise LoadTestError(f"--mix {text}: it is written like code=0.7,face=0.2,capture=0.1")
    return shares


_MULTIPART = b"multipart/form-data; boundary=" + _BOUNDARY


def _text(name: str, value: str) -> bytes:
    return (f'--{_BOUNDARY.decode()}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
            f"{value}\r\n").encode()


def _head(target: Target, gate: GateLine) -> bytes:
    return (f" HTTP/1.1\r\nHost: {target.url.partition('://')[2]}\r\n"
            f"Authorization: Bearer {gate.credential}\r\n").encode("ascii")


def _request(head: bytes, path: bytes, kind: bytes, body: bytes) -> bytes:
    return b"".join((
        b"POST /v1/verifications", path, head, b"Content-Type: ", kind, b"\r\nContent-Length: ",
        str(len(body)).encode(), b"\r\n\r\n", body))
