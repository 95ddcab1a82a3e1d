"""Pages about holders: find, register, photograph, grant, withdraw, pair, consent."""

from aiohttp import web

from central import consents, people, registry, wallets
from central.forms import FORMS
from central.registry import NewCredential, NewHolder, parse_id
from central.store import Transaction
from central.web.common import answer
from central.web.site import Site, go
from edge.access.accounts import Role
from edge.access.sessions import Session
from edge.ui.qr import draw_qr


class HolderPages:
    """The pages of holders and their credentials."""

    def __init__(self, site: Site) -> None:
        """Take the frame."""
        self._site = site

    def routes(self) -> list[web.RouteDef]:
        """Give the routes."""
        look, act = Role.SUPERVISOR, Role.ADMINISTRATOR
        page = self._site.page
        return [
            web.get("/holders", page(look, self.find)),
            web.post("/holders", page(act, self.add)),
            web.get("/holders/{id}", page(look, self.show)),
            web.post("/holders/{id}/reveal", page(look, self.reveal)),
            web.post("/holders/{id}/photograph", page(act, self.photograph)),
            web.post("/holders/{id}/region", page(act, self.region)),
            web.post("/holders/{id}/consent", page(act, self.consent)),
            web.post("/holders/{id}/credentials", page(act, self.issue)),
            web.post("/holders/{id}/pair", page(act, self.pair)),
            web.post("/credentials/{id}/status", page(look, self.status)),
        ]

    async def find(self, request: web.Request, session: Session) -> web.Response:
        """`GET /holders?q=…`."""
        query = request.query.get("q", "")
        found = await self._site.run(session, lambda tx: people.find_holders(tx, query))
        return self._site.render(request, session, "holders.html", query=query, found=found)

    async def add(self, request: web.Request, session: Session) -> web.Response:
        """`POST /holders`."""
        form = await self._site.form(request)
        new = NewHolder(
            name=form.get("name", "").strip(), number=form.get("number", "").strip().upper(),
            kind=form.get("kind", "person"), region=form.get("region", "").strip())
        holder_id = await self._site.run(session, lambda tx: registry.add_holder(tx, new))
        return go(f"/holders/{holder_id}")

    async def show(self, request: web.Request, session: Session) -> web.Response:
        """`GET /holders/{id}`."""
        holder_id = request.match_info["id"]
        page = await self._site.run(session, lambda tx: people.holder_page(tx, holder_id))
        return self._page(request, session, page)

    async def reveal(self, request: web.Request, session: Session) -> web.Response:
        """`POST /holders/{id}/reveal`."""
        holder_id, form = request.match_info["id"], await self._site.form(request)
        page = await self._site.run(
            session, lambda tx: people.reveal_holder(tx, holder_id, form.get("reason", "")))
        return self._page(request, session, page)

    async def photograph(self, request: web.Request, session: Session) -> web.Response:
        """`POST /holders/{id}/photograph`: an image as the body, sent by the page's script."""
        platform, holder_id, image = (
            self._site.platform, request.match_info["id"], await request.read())
        draft = await platform.enrol_face(image)
        await self._site.run(session, lambda tx: registry.put_photograph(
            tx, holder_id, image, platform.pack_id, draft.template, draft.quality))
        return answer({"quality": round(draft.quality, 3),
                       "components": {k: round(v, 3) for k, v in draft.components.items()}}, 201)

    async def region(self, request: web.Request, session: Session) -> web.Response:
        """`POST /holders/{id}/region`."""
        holder_id, form = request.match_info["id"], await self._site.form(request)
        await self._site.run(session, lambda tx: registry.set_region(
            tx, holder_id, form.get("region", "").strip()))
        return go(f"/holders/{holder_id}")

    async def consent(self, request: web.Request, session: Session) -> web.Response:
        """`POST /holders/{id}/consent`."""
        holder_id, form = request.match_info["id"], await self._site.form(request)

        def work(tx: Transaction) -> None:
            people.holder_page(tx, holder_id)
            consents.set_consent(
                tx, parse_id(holder_id, "holder"), form.get("purpose", ""),
                given=form.get("given") == "yes", how=form.get("how", ""))

        await self._site.run(session, work)
        return go(f"/holders/{holder_id}")

    async def issue(self, request: web.Request, session: Session) -> web.Response:
        """`POST /holders/{id}/credentials`."""
        holder_id, form = request.match_info["id"], await self._site.form(request)
        type_ = form.get("type", "")
        new = NewCredential(
            holder_id=holder_id, type=type_, valid_until=form.get("valid_until") or None,
            fields={name: form.get(f"field_{type_}_{name}", "").strip()
                    for name in FORMS.get(type_, {})})
        await self._site.run(session, lambda tx: registry.issue(tx, new))
        return go(f"/holders/{holder_id}")

    async def pair(self, request: web.Request, session: Session) -> web.Response:
        """`POST /holders/{id}/pair`: a one-time code for a wallet."""
        holder_id, life = request.match_info["id"], self._site.platform.config.code_life_s
        code = await self._site.run(
            session, lambda tx: wallets.wallet_code(tx, holder_id, life))
        link = f"{request.scheme}://{request.host}/wallet/#{code}"
        return self._site.render(
            request, session, "one_time.html", kind="wallet", secret=code, link=link,
            qr=draw_qr(link), life_min=life // 60, back=f"/holders/{holder_id}")

    async def status(self, request: web.Request, session: Session) -> web.Response:
        """`POST /credentials/{id}/status`; revoking is for administrators."""
        credential_id, form = request.match_info["id"], await self._site.form(request)
        status = form.get("status", "")
        if status == "revoked":
            await self._site.signin.require(request, Role.ADMINISTRATOR)

        def work(tx: Transaction) -> str:
            registry.set_status(tx, credential_id, status, form.get("reason", ""))
            return registry.get_credential(tx, credential_id).holder_id

        return go(f"/holders/{await self._site.run(session, work)}")

    def _page(
        self, request: web.Request, session: Session, page: people.HolderPage
    ) -> web.Response:
        return self._site.render(
            request, session, "holder.html", holder=page, forms=FORMS)
