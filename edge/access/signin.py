"""Signing in to pages: the form, the cookie, CSRF, and who may do what.

- The cookie is `HttpOnly`, `SameSite=Strict`, under TLS also `Secure`; its name differs by service,
  since cookies don't tell ports apart.
- Whatever changes something must come from this origin (`Origin`) and carry the session's token,
  as the form field `csrf` or the header `X-Kanhe-CSRF`.
- Failed tries are counted (edge.access.attempts); signing out ends every session of the account.
- Every sign-in, refusal and sign-out is told to `note`, which journals it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from math import ceil

import msgspec
from aiohttp import web

from edge.access.accounts import (
    HASHING_AT_ONCE_MAX,
    AccountBook,
    Role,
    password_holds,
)
from edge.access.attempts import Attempts
from edge.access.sessions import Session, Sessions
from edge.ui.headers import PAGE_HEADERS
from edge.ui.pages import Pages, local_path

Note = Callable[[str, dict[str, str | int | float]], Awaitable[None]]
CSRF_HEADER = "X-Kanhe-CSRF"
FORM_BYTES_MAX = 64 * 1024
_LOG = logging.getLogger(__name__)
_UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


class SignInNeeded(Exception):
    """Nobody is signed in, or not any more."""


class AccessRefused(Exception):
    """Who is signed in may not do this, or the request isn't from our own page (403)."""


class SignIn:
    """The sign-in of one service."""

    def __init__(
        self, *, book: AccountBook, sessions: Sessions, pages: Pages, cookie: str, secure: bool,
        note: Note, now: Callable[[], float], least: Role = Role.OPERATOR, home: str = "/",
    ) -> None:
        """Take what it needs.

        Args:
            book: Of accounts.
            sessions: Makes and reads cookies.
            pages: To render the form with.
            cookie: The cookie's name.
            secure: Served over TLS.
            note: Hears of every sign-in, refusal and sign-out.
            now: Unix seconds.
            least: The least role that signs in here.
            home: Where one goes after signing in.
        """
        self._book, self._sessions, self._pages = book, sessions, pages
        self._cookie = f"__Host-{cookie}" if secure else cookie
        self._secure, self._note, self._now = secure, note, now
        self._least, self._home = least, home
        self._attempts = Attempts()
        self._hashing = asyncio.Semaphore(HASHING_AT_ONCE_MAX)

    def routes(self) -> list[web.RouteDef]:
        """Give the routes."""
        return [
            web.get("/signin", self.form), web.post("/signin", self.sign_in),
            web.post("/signout", self.sign_out),
        ]

    async def session(self, request: web.Request) -> Session | None:
        """Give the session of a request, None if there is none that holds."""
        session = self._sessions.read(request.cookies.get(self._cookie, ""), self._now())
        if session is None:
            return None
        account = await self._book.find(session.name)
        if account is None or account.disabled or account.generation != session.generation:
            return None
        # A role that was lowered meanwhile counts.
        return msgspec.structs.replace(session, role=account.role)

    async def require(self, request: web.Request, role: Role) -> Session:
        """Insist on a session of a role, and on our own page behind whatever changes something.

        Raises:
            SignInNeeded: Nobody is signed in.
            AccessRefused: Not this role, or not from our page.
        """
        session = await self.session(request)
        if session is None:
            raise SignInNeeded
        if request.method in _UNSAFE:
            check_origin(request)
            await self._check_token(request, session)
        if not session.role.covers(role):
            raise AccessRefused(f"this needs the role {role.value}")
        return session

    def token(self, session: Session) -> str:
        """Give the CSRF token of a session."""
        return self._sessions.csrf_token(session)

    async def form(self, request: web.Request) -> web.Response:
        """`GET /signin`."""
        if await self.session(request) is not None:
            return _go(local_path(request.query.get("next", self._home)))
        return self._form(request, request.query.get("next", ""))

    async def sign_in(self, request: web.Request) -> web.Response:
        """`POST /signin`."""
        check_origin(request)
        form = await read_form(request)
        name, password = form.get("name", "").strip().lower()[:64], form.get("password", "")
        address, now = request.remote or "", self._now()
        wait_s = self._attempts.wait_s(name, address, now)
        if wait_s > 0.0:
            response = self._form(request, form.get("next", ""), status=429, wait_s=ceil(wait_s))
            response.headers["Retry-After"] = str(ceil(wait_s))
            return response
        account = await self._book.find(name)
        async with self._hashing:
            holds = await asyncio.to_thread(password_holds, password, account)
        if not holds or account is None or not account.role.covers(self._least):
            self._attempts.failed(name, address, now)
            # The name isn't noted: people type their password there by mistake.
            known = account.name if account is not None else ""
            await self._note("signin.refused", {"account": known, "address": address})
            return self._form(request, form.get("next", ""), status=403, wrong=True)
        self._attempts.succeeded(name, address)
        session, cookie = self._sessions.begin(account, now)
        await self._note("signin.accepted", {
            "account": account.name, "role": account.role.value, "session": session.id,
            "address": address})
        response = _go(local_path(form.get("next") or self._home))
        response.set_cookie(
            self._cookie, cookie, path="/", httponly=True, secure=self._secure,
            samesite="Strict", max_age=self._sessions.session_s)
        return response

    async def sign_out(self, request: web.Request) -> web.Response:
        """`POST /signout`: end every session of the account."""
        session = await self.require(request, Role.OPERATOR)
        account = await self._book.find(session.name)
        if account is not None:
            await self._book.put(
                msgspec.structs.replace(account, generation=account.generation + 1))
        await self._note("signin.ended", {"account": session.name, "session": session.id})
        response = _go("/signin")
        response.del_cookie(self._cookie, path="/")
        return response

    def _form(
        self, request: web.Request, next_: str, *, status: int = 200, wrong: bool = False,
        wait_s: int = 0,
    ) -> web.Response:
        return self._pages.render(
            request, "signin.html", code=status, next=local_path(next_ or self._home),
            wrong=wrong, wait_min=ceil(wait_s / 60))

    async def _check_token(self, request: web.Request, session: Session) -> None:
        token = request.headers.get(CSRF_HEADER)
        if token is None and request.content_type == "application/x-www-form-urlencoded":
            token = (await read_form(request)).get("csrf")
        if token != self.token(session):
            raise AccessRefused("the page is out of date: load it again")


def check_origin(request: web.Request) -> None:
    """Insist that a browser sends this from our own page.

    Raises:
        AccessRefused: It doesn't, or doesn't say.
    """
    origin = request.headers.get("Origin", "")
    if origin.partition("://")[2] != request.host or not origin:
        raise AccessRefused("this request came from another page")


async def read_form(request: web.Request) -> dict[str, str]:
    """Read a small form; of a field sent twice the last counts.

    Raises:
        AccessRefused: It is too large to be one of ours.
    """
    if (request.content_length or 0) > FORM_BYTES_MAX:
        raise AccessRefused("the form is too large")
    return {name: value for name, value in (await request.post()).items()
            if isinstance(value, str)}


def _go(path: str) -> web.Response:
    return web.Response(status=303, headers={**PAGE_HEADERS, "Location": path})
