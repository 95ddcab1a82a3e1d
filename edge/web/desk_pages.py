"""The pages of a node: console and desk.

- A page's handler gives HTML; whoever isn't signed in is led to the form.
- The console's script calls `/v1` like any gate, through edge.web.callers.
"""

from collections.abc import Callable, Mapping

from aiohttp import web

from edge.access.accounts import Role
from edge.access.signin import Note, SignIn, read_form
from edge.protocol.records import GateRecord, ScenePolicy
from edge.ui.headers import PAGE_HEADERS
from edge.ui.pages import Pages, language
from edge.web.callers import Callers, Desk


class DeskPages:
    """Console and desk set-up."""

    def __init__(
        self, *, pages: Pages, signin: SignIn, callers: Callers,
        gates: Callable[[], Mapping[str, GateRecord]],
        policies: Callable[[], Mapping[str, ScenePolicy]], note: Note,
        now: Callable[[], float],
    ) -> None:
        """Take what the pages show."""
        self._pages, self._signin, self._callers = pages, signin, callers
        self._gates, self._policies = gates, policies
        self._note, self._now = note, now

    def routes(self) -> list[web.RouteDef]:
        """Give the routes."""
        return [
            web.get("/", self.console), web.get("/desk", self.desk),
            web.post("/desk", self.set_desk),
        ]

    async def console(self, request: web.Request) -> web.Response:
        """`GET /`."""
        session = await self._signin.require(request, Role.OPERATOR)
        desk = self._callers.desk(request)
        if desk is None:
            if session.role.covers(Role.SUPERVISOR):
                return web.Response(status=303, headers={**PAGE_HEADERS, "Location": "/desk"})
            return self._pages.render(
                request, "no_desk.html", code=409, session=session,
                csrf=self._signin.token(session))
        gate, policy = self._gates()[desk.gate_id], self._policies().get(desk.scene)
        return self._pages.render(
            request, "console.html", session=session, csrf=self._signin.token(session),
            gate=gate, scene=desk.scene, policy=policy, lang_now=language(request))

    async def desk(self, request: web.Request) -> web.Response:
        """`GET /desk`: lock this browser to a gate and a scene."""
        session = await self._signin.require(request, Role.SUPERVISOR)
        policies = self._policies()
        choices = [
            (gate, scene, policies[scene])
            for gate in sorted(self._gates().values(), key=lambda gate: gate.label)
            for scene in gate.scenes if scene in policies
        ]
        return self._pages.render(
            request, "desk.html", session=session, csrf=self._signin.token(session),
            choices=choices, desk=self._callers.desk(request))

    async def set_desk(self, request: web.Request) -> web.Response:
        """`POST /desk`."""
        session = await self._signin.require(request, Role.SUPERVISOR)
        gate_id, _, scene = (await read_form(request)).get("choice", "").partition(" ")
        response = web.Response(status=303, headers={**PAGE_HEADERS, "Location": "/"})
        gate = self._gates().get(gate_id)
        if gate is None or scene not in gate.scenes:
            response.headers["Location"] = "/desk"
            self._callers.unlock(response)
            await self._note("desk.unlocked", {"by": session.name})
            return response
        self._callers.lock(response, Desk(
            gate_id=gate_id, scene=scene, by=session.name, at_s=int(self._now())))
        await self._note("desk.locked", {
            "gate_id": gate_id, "scene": scene, "by": session.name})
        return response
