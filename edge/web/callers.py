"""Who calls `/v1`: a gate by bearer credential, or a person signed in at a locked desk.

- A desk is a browser that a supervisor locked to a gate and a scene, by a signed cookie of its own:
  it outlives the sessions of the shift, and speaks as that gate for that scene only.
- A desk whose gate was revoked, or isn't this node's, is no desk any more.
- Nothing here trusts a cookie alone: what changes something carries the session's token.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
from aiohttp import web

from edge.access.accounts import Role
from edge.access.sessions import open_claims, seal_claims
from edge.access.signin import SignIn
from edge.protocol.records import GateRecord
from edge.web.auth import authenticate
from edge.web.problems import Problem

DESK_S = 400 * 86_400
"""Life of a desk's lock; browsers keep no cookie longer."""


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """To what a browser is locked, by whom, when (Unix seconds)."""

    gate_id: str
    scene: str
    by: str
    at_s: int


class Caller(NamedTuple):
    """Who calls: a gate, and the person behind it, empty for a device."""

    gate: GateRecord
    actor: str


class Gates:
    """Finds the caller of a request among gates alone: a node without pages.

    Attributes:
        gates: Gives the gates that may speak here now, by gate id.
    """

    def __init__(self, gates: Callable[[], Mapping[str, GateRecord]]) -> None:
        """Take the gates that may speak here now."""
        self.gates = gates

    async def caller(self, request: web.Request) -> Caller:
        """Give who calls.

        Raises:
            Problem: 401.
        """
        return Caller(authenticate(request.headers.get("Authorization"), self.gates()), "")


class Callers(Gates):
    """Finds the caller of a request: a gate, or a person at a desk."""

    def __init__(
        self, *, gates: Callable[[], Mapping[str, GateRecord]], signin: SignIn, desk_key: bytes,
        cookie: str, secure: bool,
    ) -> None:
        """Take the gates, the sign-in, and the key and name of desk cookies."""
        super().__init__(gates)
        self._signin, self._desk_key = signin, desk_key
        self._cookie = f"__Host-{cookie}" if secure else cookie
        self._secure = secure

    async def caller(self, request: web.Request) -> Caller:
        """Give who calls.

        Raises:
            Problem: 401 or 403.
            SignInNeeded: A page's session ended.
            AccessRefused: Not from our own page.
        """
        if "Authorization" in request.headers or not request.cookies:
            return await super().caller(request)
        session = await self._signin.require(request, Role.OPERATOR)
        desk = self.desk(request)
        if desk is None:
            raise Problem(403, "this desk isn't locked to a gate: a supervisor sets it up at /desk")
        gate = msgspec.structs.replace(self.gates()[desk.gate_id], scenes=(desk.scene,))
        return Caller(gate, session.name)

    def desk(self, request: web.Request) -> Desk | None:
        """Give the desk of a browser, None if it has none that still holds."""
        desk = open_claims(self._desk_key, request.cookies.get(self._cookie, ""), Desk)
        gate = self.gates().get(desk.gate_id) if desk is not None else None
        if desk is None or gate is None or desk.scene not in gate.scenes:
            return None
        return desk

    def lock(self, response: web.StreamResponse, desk: Desk) -> None:
        """Lock the browser that gets this response."""
        response.set_cookie(
            self._cookie, seal_claims(self._desk_key, desk), path="/", httponly=True,
            secure=self._secure, samesite="Strict", max_age=DESK_S)

    def unlock(self, response: web.StreamResponse) -> None:
        """Take the lock away."""
        response.del_cookie(self._cookie, path="/")
