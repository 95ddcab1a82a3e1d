"""The page on which people's accounts are kept: who may sign in here, and as what.

- A supervisor keeps operators; an administrator keeps everybody. Nobody changes their own role.
- A new password ends every session of its account. Every act is told to `note`.
"""

import asyncio
from collections.abc import Callable

import msgspec
from aiohttp import web

from edge.access.accounts import Account, AccountBook, Role, check_name, hash_password
from edge.access.sessions import Session
from edge.access.signin import AccessRefused, Note, SignIn, read_form
from edge.errors import ConfigError
from edge.ui.headers import PAGE_HEADERS
from edge.ui.pages import Pages

MESSAGE_CHARS_MAX = 200


class AccountsPage:
    """Serves `/accounts`."""

    def __init__(
        self, *, pages: Pages, signin: SignIn, book: AccountBook, note: Note,
        least: Role = Role.SUPERVISOR, context: Callable[[], dict[str, object]] = dict,
    ) -> None:
        """Take what it needs; `least` is the least role that may look."""
        self._pages, self._signin, self._book = pages, signin, book
        self._note, self._least, self._context = note, least, context

    def routes(self) -> list[web.RouteDef]:
        """Give the routes."""
        return [web.get("/accounts", self.show), web.post("/accounts", self.change)]

    async def show(self, request: web.Request) -> web.Response:
        """`GET /accounts`."""
        session = await self._signin.require(request, self._least)
        return await self._page(request, session, "")

    async def change(self, request: web.Request) -> web.Response:
        """`POST /accounts`: add, set a password, a role, disable or enable."""
        session = await self._signin.require(request, self._least)
        form = await read_form(request)
        try:
            name = check_name(form.get("name", ""))
            account = await self._book.find(name)
            changed = await _changed(account, name, form, session)
        except ConfigError as error:
            return await self._page(request, session, str(error), status=422)
        await self._book.put(changed)
        await self._note(f"account.{form.get('act', '')}", {
            "account": name, "role": changed.role.value, "by": session.name})
        return web.Response(status=303, headers={**PAGE_HEADERS, "Location": "/accounts"})

    async def _page(
        self, request: web.Request, session: Session, problem: str, status: int = 200
    ) -> web.Response:
        accounts = await self._book.all()
        return self._pages.render(
            request, "accounts.html", code=status, session=session,
            csrf=self._signin.token(session), problem=problem[:MESSAGE_CHARS_MAX],
            accounts=accounts, roles=[role for role in Role if _may_keep(session, role)],
            may_keep=lambda account: _may_keep(session, account.role), **self._context())


def _may_keep(session: Session, role: Role) -> bool:
    if session.role is Role.ADMINISTRATOR:
        return True
    return session.role.covers(role) and role is not session.role


async def _changed(
    account: Account | None, name: str, form: dict[str, str], session: Session
) -> Account:
    """Give the account as it shall be.

    Raises:
        ConfigError: What is wrong with the form.
        AccessRefused: This person may not keep that account.
    """
    act = form.get("act", "")
    if act == "add":
        if account is not None:
            raise ConfigError(f"{name} is there already")
        role = _role(form)
        if not _may_keep(session, role):
            raise AccessRefused(f"you may not add a {role.value}")
        hashed = await asyncio.to_thread(hash_password, form.get("password", ""))
        return Account(name=name, role=role, password_hash=hashed)
    if account is None:
        raise ConfigError(f"there is no account {name}")
    own = account.name == session.name
    if not (_may_keep(session, account.role) or (own and act == "password")):
        raise AccessRefused("you may not change this account")
    ended = account.generation + 1
    if act == "password":
        hashed = await asyncio.to_thread(hash_password, form.get("password", ""))
        return msgspec.structs.replace(account, password_hash=hashed, generation=ended)
    if own:
        raise ConfigError("ask somebody else to change your own account")
    if act in ("disable", "enable"):
        return msgspec.structs.replace(account, disabled=act == "disable", generation=ended)
    raise ConfigError("there is no such act")


def _role(form: dict[str, str]) -> Role:
    try:
        return Role(form.get("role", ""))
    except ValueError:
        raise ConfigError("role: operator, supervisor or administrator") from None
