"""Pages about what stands in the city: the overview, nodes, gates, and what was done by whom."""

from urllib.parse import quote

import msgspec
from aiohttp import web
from sqlalchemy import func, select

from central import consents, nodes, policies
from central.nodes import NewGate, NodeShown
from central.schema import Act, Credential, Holder, JournalEntry
from central.store import Transaction
from central.web.site import Site, go
from edge.access.accounts import Role
from edge.access.sessions import Session
from edge.ui.qr import draw_qr

SEEN_S_MAX = 90
"""A node polls at least every minute; one that wasn't heard for longer is out of reach."""
UNSHIPPED_MAX = 1_000
ACTS_ROWS = 100
FACES_TO_FILE = 100_000
"""From this many faces on the operator files with the regulator."""


class NodeLine(msgspec.Struct, frozen=True):
    """A node with what is wrong with it, in both languages; empty = nothing."""

    node: NodeShown
    silent_s: int
    behind: int
    wrong: list[tuple[str, str]]


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
            web.post("/gates/{id}/revoke", page(act, self.revoke_gate)),
            web.get("/acts", page(look, self.acts)),
        ]

    async def home(self, request: web.Request, session: Session) -> web.Response:
        """`GET /`."""
        counts = await self._site.run(session, _counts)
        lines = await self._site.run(session, node_lines)
        return self._site.render(
            request, session, "home.html", counts=counts, to_file=FACES_TO_FILE,
            lines=[line for line in lines if line.node.revoked_s is None])

    async def nodes(self, request: web.Request, session: Session) -> web.Response:
        """`GET /nodes`."""
        return self._site.render(
            request, session, "nodes.html", lines=await self._site.run(session, node_lines),
            now=self._site.platform.now())

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
            scenes=tuple(str(scene) for scene in form.getall("scene", [])))
        _, credential = await self._site.run(session, lambda tx: nodes.add_gate(tx, new))
        return self._site.render(
            request, session, "one_time.html", kind="gate", secret=credential, link="",
            qr=draw_qr(credential), life_min=0, back="/gates")

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


def node_lines(tx: Transaction) -> list[NodeLine]:
    """Give every node with what is wrong with it, the worst first."""
    head = tx.head()
    lines = [_line(node, tx.now_s, head) for node in nodes.list_nodes(tx)]
    return sorted(lines, key=lambda line: (line.node.revoked_s is not None, not line.wrong))


def _line(node: NodeShown, now_s: int, head: int) -> NodeLine:
    report, silent_s = node.report, now_s - node.seen_s
    behind = head - report.cursor if report else head
    wrong: list[tuple[str, str]] = []
    if silent_s > SEEN_S_MAX:
        wrong.append((f"已 {silent_s} 秒没有消息", f"not heard for {silent_s} s"))
    if report is None:
        wrong.append(("还没有报告", "hasn't reported yet"))
    else:
        wrong += [(problem, problem) for problem in report.problems]
        if report.clock != "trusted":
            wrong.append(("时钟不可信", f"clock {report.clock}"))
        if behind > 0 and silent_s > SEEN_S_MAX:
            wrong.append((f"落后 {behind} 条变更", f"{behind} changes behind"))
        if report.unshipped > UNSHIPPED_MAX:
            wrong.append((f"{report.unshipped} 条日志未上传", f"{report.unshipped} records not "
                          "shipped"))
        if report.scenes_unfit:
            scenes = ", ".join(report.scenes_unfit)
            wrong.append((f"人脸模型达不到：{scenes}", f"face pack unfit for {scenes}"))
    return NodeLine(node, silent_s, behind, wrong)


def _counts(tx: Transaction) -> dict[str, int]:
    def count(table: type[Holder | Credential | JournalEntry]) -> int:
        return tx.session.scalar(select(func.count()).select_from(table)) or 0

    return {
        "holders": count(Holder), "credentials": count(Credential),
        "faces": consents.count_faces(tx), "records": count(JournalEntry), "changes": tx.head(),
    }
