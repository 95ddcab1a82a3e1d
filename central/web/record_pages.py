"""Pages about rules and records: scenes and their policies, the journal, receipts."""

import msgspec
from aiohttp import web

from central import checkpoints, history, policies, policy_rules
from central.errors import Conflict, Invalid
from central.store import Transaction
from central.web.common import whole_number
from central.web.policy_form import read_filled
from central.web.site import Site, go
from edge.access.accounts import Role
from edge.access.sessions import Session
from edge.protocol.records import CREDENTIAL_TYPES, ScenePolicy, Words
from edge.ui.headers import PAGE_HEADERS

SUITES = ((0x01, "01 compact"), (0x02, "02 SM3/SM4"), (0x11, "11 sealed"))
MASKS = ("full", "name", "id_number", "plate", "last4", "year")
REASON_MISSING = Words("请说明修改理由，将记录在案", "say why, for the record")


class RecordPages:
    """Scenes and journal."""

    def __init__(self, site: Site) -> None:
        """Take the frame."""
        self._site = site

    def routes(self) -> list[web.RouteDef]:
        """Give the routes."""
        look, act = Role.SUPERVISOR, Role.ADMINISTRATOR
        page = self._site.page
        return [
            web.get("/scenes", page(look, self.scenes)),
            web.post("/scenes", page(act, self.add_scene)),
            web.get("/scenes/{scene}", page(look, self.scene)),
            web.post("/scenes/{scene}", page(act, self.set_scene)),
            web.get("/journal", page(look, self.journal)),
            web.get("/journal/{id}", page(look, self.verification)),
            web.get("/receipts/{log}/{index}", page(look, self.receipt)),
            web.get("/receipt", self.check_receipt),
        ]

    async def scenes(self, request: web.Request, session: Session) -> web.Response:
        """`GET /scenes`."""
        found = await self._site.run(session, policies.list_policies)
        return self._site.render(request, session, "scenes.html", policies=found)

    async def add_scene(self, request: web.Request, session: Session) -> web.Response:
        """`POST /scenes`: a new scene with the rules of another, to be changed from there."""
        form = await self._site.form(request)
        scene, like = form.get("scene", "").strip(), form.get("like", "")

        def work(tx: Transaction) -> None:
            if any(policy.scene == scene for policy in policies.list_policies(tx)):
                raise Conflict(f"there is a scene {scene} already")
            body = msgspec.to_builtins(policies.get_policy(tx, like)) | {
                "title": {"zh": form.get("title_zh", ""), "en": form.get("title_en", "")}}
            policies.set_policy(tx, scene, msgspec.json.encode(body), f"new, like {like}")

        await self._site.run(session, work)
        return go(f"/scenes/{scene}")

    async def scene(self, request: web.Request, session: Session) -> web.Response:
        """`GET /scenes/{scene}`: the policy as a form, and its versions."""
        scene = request.match_info["scene"]
        policy, versions = await self._held(session, scene)
        return self.show(request, session, policy, versions)

    async def set_scene(self, request: web.Request, session: Session) -> web.Response:
        """`POST /scenes/{scene}`: first shows what would change, then puts it in force."""
        scene = request.match_info["scene"]
        fields, current, versions = await self.filled_in(request, session)
        try:
            filled = read_filled(fields, current)
            draft, reason = filled.policy, fields.get("reason", [""])[0]
            wrong = dict(filled.wrong)
            if fields.get("act") != ["preview"] and not reason.strip():
                wrong["reason"] = REASON_MISSING
            if wrong or draft is None:
                return self.show(request, session, filled.shown, versions, wrong=wrong, code=422)
            if fields.get("act") == ["preview"]:
                changes = policies.policy_diff(
                    msgspec.to_builtins(current), msgspec.to_builtins(draft))
                return self.show(request, session, filled.shown, versions, changes=changes)
            await self._site.run(session, lambda tx: policies.set_policy(
                tx, scene, msgspec.json.encode(draft), reason))
        except Invalid as error:
            return self.show(
                request, session, current, versions, problem=str(error), code=422)
        return go(f"/scenes/{scene}")

    async def filled_in(
        self, request: web.Request, session: Session
    ) -> tuple[dict[str, list[str]], ScenePolicy, list[policies.PolicyVersion]]:
        """Give what a scene's form was filled in with, and the policy that it is about."""
        form = await request.post()
        fields = {name: [str(value) for value in form.getall(name)] for name in form}
        return fields, *await self._held(session, request.match_info["scene"])

    async def _held(
        self, session: Session, scene: str
    ) -> tuple[ScenePolicy, list[policies.PolicyVersion]]:
        return await self._site.run(session, lambda tx: (
            policies.get_policy(tx, scene), policies.list_versions(tx, scene)))

    def show(
        self, request: web.Request, session: Session, policy: ScenePolicy | dict[str, object],
        versions: list[policies.PolicyVersion], *, problem: str = "", code: int = 200,
        wrong: dict[str, Words] | None = None,
        changes: list[policies.PolicyChange] | None = None, **more: object,
    ) -> web.Response:
        """Show a policy, in force or a draft, as a form; `more` is for the page's other parts."""
        return self._site.render(
            request, session, "scene.html", code=code, policy=policy, versions=versions,
            problem=problem, wrong=wrong or {}, changes=changes, types=CREDENTIAL_TYPES,
            suites=SUITES, masks=MASKS, rules=policy_rules, **more)

    async def journal(self, request: web.Request, session: Session) -> web.Response:
        """`GET /journal?decision=…&before=…`."""
        names = (*history.FILTERS, "credential_id")
        filters = {name: request.query.get(name, "").strip()[:64] for name in names}
        before = request.query.get("before", "")
        page = await self._site.run(
            session, lambda tx: history.journal_page(tx, filters, before))
        scenes = await self._site.run(session, policies.list_policies)
        return self._site.render(
            request, session, "journal.html", page=page, filters=filters, scenes=scenes,
            older=request.rel_url.update_query(before=page.older) if page.older else None)

    async def verification(self, request: web.Request, session: Session) -> web.Response:
        """`GET /journal/{id}`: every record of one verification, and how far each is signed."""
        def work(tx: Transaction) -> tuple[list[history.JournalRow], dict[str, int], set[str]]:
            rows = history.one_verification(tx, request.match_info["id"])
            signed = checkpoints.countersigned_sizes(tx, {row.log for row in rows})
            return rows, signed, checkpoints.diverged_logs(tx)

        rows, signed, diverged = await self._site.run(session, work)
        return self._site.render(
            request, session, "verification.html", rows=rows, signed=signed, diverged=diverged)

    async def receipt(self, request: web.Request, session: Session) -> web.Response:
        """`GET /receipts/{log}/{index}`: the receipt file of a record, to keep."""
        log, index = request.match_info["log"][:64], whole_number(request.match_info["index"])
        found = await self._site.run(session, lambda tx: checkpoints.prove(tx, log, index))
        return web.Response(
            body=msgspec.json.encode(found), content_type="application/json",
            headers={**PAGE_HEADERS, "Content-Disposition":
                     f'attachment; filename="receipt-{found.log[:8]}-{index}.json"'})

    async def check_receipt(self, request: web.Request) -> web.Response:
        """`GET /receipt`: the page that checks a receipt file in the browser, for anybody."""
        return self._site.pages.render(
            request, "receipt.html", witness=self._site.platform.keys.witness_public)
