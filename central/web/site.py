"""The administration's frame: pages, sign-in, who may do what, where its parts are.

- Pages are rendered here and need no script; what changes something is a form with the session's
  token, and is recorded with the account's name.
- Supervisors look and suspend; administrators do everything.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web

from central.accounts import DatabaseAccounts
from central.platform import Platform
from central.store import Transaction
from edge.access.accounts import Role
from edge.access.accounts_page import AccountsPage
from edge.access.authority_page import AuthorityPage
from edge.access.listening import Wire
from edge.access.sessions import Session, Sessions
from edge.access.signin import SignIn, read_form
from edge.ui.headers import PAGE_HEADERS
from edge.ui.pages import Pages

_T = TypeVar("_T")
NAME = ("中心平台", "Central platform")
Handler = Callable[[web.Request, Session], Awaitable[web.StreamResponse]]
PageHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Site:
    """What every page of the platform uses.

    Attributes:
        platform: The platform itself.
        pages: Templates and static files.
        signin: Sessions and CSRF.
    """

    def __init__(self, platform: Platform, wire: Wire) -> None:
        """Build pages and sign-in."""
        self.platform, self.wire = platform, wire
        self.pages = Pages(("central.web",), NAME)
        self._book = DatabaseAccounts(platform.database)
        self.signin = SignIn(
            book=self._book, pages=self.pages, cookie="kanhe-central", note=self.note,
            sessions=Sessions(platform.keys.derive(b"sessions"), platform.config.session_s),
            secure=wire.context is not None, now=platform.now, least=Role.SUPERVISOR,
        )

    def routes(self) -> list[web.RouteDef]:
        """Give the routes of the frame itself."""
        accounts = AccountsPage(
            pages=self.pages, signin=self.signin, book=self._book, note=self.note,
            least=Role.ADMINISTRATOR)
        return [
            *self.pages.routes(), *self.signin.routes(), *accounts.routes(),
            *AuthorityPage(self.pages, self.wire.authority).routes(),
        ]

    async def note(self, event: str, detail: dict[str, str | int | float]) -> None:
        """Record something about an account."""
        words = " ".join(f"{name}={value}" for name, value in detail.items() if value != "")
        who = str(detail.get("by") or detail.get("account") or "nobody")
        await self.platform.database.run(
            lambda tx: tx.act(event, str(detail.get("account", "")), words), who)

    def page(self, role: Role, handler: Handler) -> PageHandler:
        """Give a handler that insists on a role and shows refusals as pages."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            session = await self.signin.require(request, role)
            return await handler(request, session)

        return guarded

    async def run(self, session: Session, work: Callable[[Transaction], _T]) -> _T:
        """Run a transaction for somebody signed in."""
        return await self.platform.database.run(work, session.name)

    def render(
        self, request: web.Request, session: Session, template: str, *, code: int = 200,
        **values: object,
    ) -> web.Response:
        """Render a page for somebody signed in."""
        return self.pages.render(
            request, template, code=code, session=session, csrf=self.signin.token(session),
            is_admin=session.role.covers(Role.ADMINISTRATOR), **values)

    async def form(self, request: web.Request) -> dict[str, str]:
        """Read the form of a page."""
        return await read_form(request)


def go(path: str) -> web.Response:
    """Lead to another page."""
    return web.Response(status=303, headers={**PAGE_HEADERS, "Location": path})
