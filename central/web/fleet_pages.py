"""Pages about what stands in the city: the overview, nodes, gates, and what was done by whom."""

import contextlib
from urllib.parse import quote

from aiohttp import web
from sqlalchemy import func, select

from central import consents, nodes, policies
from central.errors import Invalid
from central.needs import KINDS, fleet_page
from central.nodes import RATE_MAX_PER_S, GateRate, NewGate
from central.schema import Act, Credential, Holder, JournalEntry
from central.store import Transaction
from central.web.site import Site, go
from edge.access.accounts import Role
from edge.access.sessions import Session
from edge.protocol.report import FILING_FROM
from edge.ui.qr import draw_qr

ACTS_ROWS = 100
HOME_NODES = 8
QUERY_CHARS_MAX = 64


class FleetPages:
    """Overview, nodes, gates, acts."""

    def __init__(self, site: Site) -> None:
        """Take the frame."""
        self._site = site

    def routes(self) -> list[web.RouteDef]:
        """Give the routes."""
        look, act = Role.SUPERVISOR, Role.ADMINISTRATOR
        page = self._site.page
        return [
            web.get("/", page(look, self.home)), web.get("/nodes", page(look, self.nodes)),
            web.post("/nodes/code", page(act, self.node_code)),
            web.post("/nodes/{id}/revoke", page(act, self.revoke_node)),
            web.get("/gates", page(look, self.gates)), web.post("/gates", page(act, self.add_gate)),
            web.post("/gates/{id}/rate", page(act, self.set_gate_rate)),
            web.post("/gates/{id}/revoke", page(act, self.revoke_gate)),
            web.get("/acts", page(look, self.acts)),
        ]

    async def home(self, request: web.Request, session: Session) -> web.Response:
        """`GET /`."""
        counts = await self._site.run(session, _counts)
        days = self._site.platform.config.token_days
        fleet = await self._site.run(
            session, lambda tx: fleet_page(tx, days, only="needy", rows=HOME_NODES))
        return self._site.render(
            request, session, "home.html", counts=counts, to_file=FILING_FROM, fleet=fleet)

    async def nodes(self, request: web.Request, session: Session) -> web.Response:
        """`GET /nodes?only=…&q=…&page=…`: whoever needs a hand most comes first."""
        only, query = request.query.get("only", ""), request.query.get("q", "")[:QUERY_CHARS_MAX]
        text, days = request.query.get("page", ""), self._site.platform.config.token_days
        page = int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else 1
        fleet = await self._site.run(session, lambda tx: fleet_page(
            tx, days, only=only, query=query, page=page))
        return self._site.render(
            request, session, "nodes.html", fleet=fleet, kinds=KINDS, only=only, query=query)

    async def node_code(self, request: web.Request, session: Session) -> web.Response:
        """`POST /nodes/code`: a one-time code for a node, with the authority it is to believe."""
        platform, life = self._site.platform, self._site.platform.config.code_life_s
        code = await self._site.run(
            session, lambda tx: nodes.node_code(tx, platform.root, life))
        pin = self._site.wire.authority.pin if self._site.wire.authority else ""
        address = f"{request.scheme}://{request.host}"
        link = f"{address}/#code={quote(code)}" + (f"&authority={pin}" if pin else "")
        return self._site.render(
            request, session, "one_time.html", kind="node", secret=code, link=link,
            qr=draw_qr(link), life_min=life // 60, back="/nodes")

    async def revoke_node(self, request: web.Request, session: Session) -> web.Response:
        """`POST /nodes/{id}/revoke`."""
        reason = (await self._site.form(request)).get("reason", "")
        await self._site.run(
            session, lambda tx: nodes.revoke_node(tx, request.match_info["id"], reason))
        return go("/nodes")

    async def gates(self, request: web.Request, session: Session) -> web.Response:
        """`GET /gates`."""
        found = await self._site.run(session, lambda tx: (
            nodes.list_gates(tx), policies.list_policies(tx), nodes.list_nodes(tx)))
        return self._site.render(
            request, session, "gates.html", gates=found[0], policies=found[1],
            nodes={node.node_id: node for node in found[2]})

    async def add_gate(self, request: web.Request, session: Session) -> web.Response:
        """`POST /gates`: its credential is shown once."""
        form = await request.post()
        new = NewGate(
            label=str(form.get("label", "")).strip()[:80], node_id=str(form.get("node_id", "")),
            scenes=tuple(str(scene) for scene in form.getall("scenes", [])),
            rate_per_s=_rate(str(form.get("rate_per_s", ""))))
        _, credential = await self._site.run(session, lambda tx: nodes.add_gate(tx, new))
        return self._site.render(
            request, session, "one_time.html", kind="gate", secret=credential, link="",
            qr=draw_qr(credential), life_min=0, back="/gates")

    async def set_gate_rate(self, request: web.Request, session: Session) -> web.Response:
        """`POST /gates/{id}/rate`."""
        rate = GateRate(rate_per_s=_rate((await self._site.form(request)).get("rate_per_s", "")))
        await self._site.run(
            session, lambda tx: nodes.set_gate_rate(tx, request.match_info["id"], rate))
        return go("/gates")

    async def revoke_gate(self, request: web.Request, session: Session) -> web.Response:
        """`POST /gates/{id}/revoke`."""
        reason = (await self._site.form(request)).get("reason", "")
        await self._site.run(
            session, lambda tx: nodes.revoke_gate(tx, request.match_info["id"], reason))
        return go("/gates")

    async def acts(self, request: web.Request, session: Session) -> web.Response:
        """`GET /acts?before=…`: what was done by whom, the newest first."""
        text = request.query.get("before", "")
        before = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 2**31 - 1
        rows = await self._site.run(session, lambda tx: tx.session.scalars(
            select(Act).where(Act.number < before).order_by(Act.number.desc()).limit(ACTS_ROWS)
        ).all())
        older = rows[-1].number if len(rows) == ACTS_ROWS else None
        return self._site.render(request, session, "acts.html", acts=rows, older=older)


def _rate(text: str) -> float | None:
    """Read a field of calls a second, empty = as the node says.

    Raises:
        Invalid: It isn't a number within the bounds.
    """
    text = text.strip()
    if not text:
        return None
    with contextlib.suppress(ValueError):
        if 0.0 < float(text) <= RATE_MAX_PER_S:
            return float(text)
    raise Invalid(f"rate_per_s: a number of calls a second over 0, up to {RATE_MAX_PER_S:,}")


def _counts(tx: Transaction) -> dict[str, int]:
    def count(table: type[Holder | Credential | JournalEntry]) -> int:
        return tx.session.scalar(select(func.count()).select_from(table)) or 0

    return {
        "holders": count(Holder), "credentials": count(Credential),
        "faces": consents.count_faces(tx), "records": count(JournalEntry), "changes": tx.head(),
    }
