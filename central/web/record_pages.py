"""Pages about rules and records: scenes and their policies, the journal, receipts."""

import msgspec
from aiohttp import web

from central import checkpoints, history, policies
from central.errors import Conflict, Invalid
from central.store import Transaction
from central.web.common import whole_number
from central.web.site import Site, go
from edge.access.accounts import Role
from edge.access.sessions import Session
from edge.protocol.records import CREDENTIAL_TYPES, ScenePolicy
from edge.ui.headers import PAGE_HEADERS

SUITES = ((0x01, "01 compact"), (0x02, "02 SM3/SM4"), (0x11, "11 sealed"))
MASKS = ("full", "name", "id_number", "plate", "last4", "year")
DISCLOSED_MAX = 20


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
        policy, versions = await self._site.run(session, lambda tx: (
            policies.get_policy(tx, scene), policies.list_versions(tx, scene)))
        return self.show(request, session, policy, versions, "")

    async def set_scene(self, request: web.Request, session: Session) -> web.Response:
        """`POST /scenes/{scene}`: first shows what would change, then puts it in force."""
        scene = request.match_info["scene"]
        form = await request.post()
        fields = {name: [str(value) for value in form.getall(name)] for name in form}
        try:
            current = await self._site.run(session, lambda tx: policies.get_policy(tx, scene))
            # Over the policy in force, so that what the form doesn't show stays as it is.
            body = msgspec.to_builtins(current) | form_policy(fields)
            if fields.get("act") == ["preview"]:
                return await self._preview(request, session, scene, body)
            reason = fields.get("reason", [""])[0]
            if not reason.strip():
                raise Invalid("reason: say why, for the record")
            await self._site.run(session, lambda tx: policies.set_policy(
                tx, scene, msgspec.json.encode(body), reason))
        except Invalid as error:
            policy, versions = await self._site.run(session, lambda tx: (
                policies.get_policy(tx, scene), policies.list_versions(tx, scene)))
            return self.show(request, session, policy, versions, str(error), code=422)
        return go(f"/scenes/{scene}")

    async def _preview(
        self, request: web.Request, session: Session, scene: str, body: dict[str, object]
    ) -> web.Response:
        policy, versions = await self._site.run(session, lambda tx: (
            policies.get_policy(tx, scene), policies.list_versions(tx, scene)))
        try:
            draft = msgspec.convert(
                body | {"scene": scene, "version": policy.version}, ScenePolicy)
        except msgspec.ValidationError as error:
            raise Invalid(str(error)) from error
        changes = policies.policy_diff(
            msgspec.to_builtins(policy), msgspec.to_builtins(draft))
        return self.show(request, session, draft, versions, "", changes=changes)

    def show(
        self, request: web.Request, session: Session, policy: ScenePolicy,
        versions: list[policies.PolicyVersion], problem: str, *, code: int = 200,
        changes: list[policies.PolicyChange] | None = None, **more: object,
    ) -> web.Response:
        """Show a policy, in force or a draft, as a form; `more` is for the page's other parts."""
        return self._site.render(
            request, session, "scene.html", code=code, policy=policy, versions=versions,
            problem=problem, changes=changes, types=CREDENTIAL_TYPES, suites=SUITES, masks=MASKS,
            **more)

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


def form_policy(fields: dict[str, list[str]]) -> dict[str, object]:
    """Make a policy's JSON of a form.

    Raises:
        Invalid: A number isn't one.
    """
    def one(name: str) -> str:
        return fields.get(name, [""])[0].strip()

    try:
        age, fnmr = one("trust_age_max_s"), one("fnmr_max")
        disclosed = [
            {"field": field.strip(), "mask": mask}
            for field, mask in zip(fields.get("disclose_field", []),
                                   fields.get("disclose_mask", []), strict=True)
            if field.strip()
        ][:DISCLOSED_MAX]
        return {
            "title": {"zh": one("title_zh"), "en": one("title_en")},
            "accepts": fields.get("accepts", []),
            "suites": [int(suite) for suite in fields.get("suites", [])],
            "steps_back": int(one("steps_back")), "steps_ahead": int(one("steps_ahead")),
            "face": one("face"), "fmr_max": float(one("fmr_max")),
            "fnmr_max": float(fnmr) if fnmr else None,
            "pack_override": one("pack_override"), "no_match": one("no_match"),
            "attack": one("attack"), "pad": one("pad"), "challenge": one("challenge"),
            "challenge_actions": int(one("challenge_actions")),
            "trust_age_max_s": int(age) if age else None, "trust_stale": one("trust_stale"),
            "clock_degraded": one("clock_degraded"), "cards": one("cards"),
            "capture_open_s": int(one("capture_open_s")),
            "capture_tries": int(one("capture_tries")), "disclose": disclosed,
        }
    except ValueError as error:
        raise Invalid(f"a number is missing or wrong: {error}") from error
