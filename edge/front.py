"""Builds the node's front: how it is reached, who signs in, which pages there are.

- The sign-in's and the desks' keys are derived from the node's key; accounts are in a file of their
  own in the data folder, so that people can sign in while the network is down.
"""

import hashlib
import time
from collections.abc import Callable, Mapping

from aiohttp import web

from edge.access.accounts import FileAccounts
from edge.access.accounts_page import AccountsPage
from edge.access.authority_page import AuthorityPage
from edge.access.listening import Wire
from edge.access.sessions import Sessions
from edge.access.signin import Note, SignIn
from edge.config import EdgeConfig
from edge.node_key import NodeKey
from edge.protocol.records import GateRecord, ScenePolicy
from edge.trend import TrendView
from edge.ui.pages import Pages
from edge.web.callers import Callers
from edge.web.desk_pages import DeskPages
from edge.web.status import NodeStatus
from edge.web.status_page import StatusPage

ACCOUNTS_FILE = "accounts.json"
TLS_FOLDER = "tls"
NODE_NAME = ("核验节点", "Verification node")


def accounts_of(config: EdgeConfig) -> FileAccounts:
    """Give the accounts of a data folder."""
    return FileAccounts(config.data_dir / ACCOUNTS_FILE)


def wire_of(config: EdgeConfig, *, insecure: bool) -> Wire:
    """Give how a node is reached.

    Raises:
        OperatingError: The configuration or the certificates can't be used.
    """
    return Wire(config.tls, config.listen.host, config.data_dir / TLS_FOLDER, insecure=insecure)


class Front:
    """What stands between the network and the node's handlers.

    Attributes:
        pages: Templates and static files.
        callers: Who calls `/v1`.
        wire: TLS or clear.
    """

    def __init__(
        self, config: EdgeConfig, key: NodeKey, wire: Wire, *,
        gates: Callable[[], Mapping[str, GateRecord]],
        policies: Callable[[], Mapping[str, ScenePolicy]],
        status: Callable[[], NodeStatus], trend: Callable[[], TrendView], note: Note,
    ) -> None:
        """Build everything."""
        self.wire = wire
        self.pages = Pages(("edge.web",), NODE_NAME)
        secure = wire.context is not None
        # Cookies don't tell ports apart: two nodes on one machine must not share a name.
        suffix = hashlib.sha256(key.sign_public).hexdigest()[:8]
        book = accounts_of(config)
        signin = SignIn(
            book=book, sessions=Sessions(key.derive(b"sessions"), config.signin.session_s),
            pages=self.pages, cookie=f"kanhe-node-{suffix}", secure=secure, note=note,
            now=time.time,
        )
        self.callers = Callers(
            gates=gates, signin=signin, desk_key=key.derive(b"desks"),
            cookie=f"kanhe-desk-{suffix}", secure=secure,
        )
        desk = DeskPages(
            pages=self.pages, signin=signin, callers=self.callers, gates=gates,
            policies=policies, note=note, now=time.time,
        )
        accounts = AccountsPage(pages=self.pages, signin=signin, book=book, note=note)
        self.routes: list[web.RouteDef] = [
            *self.pages.routes(), *signin.routes(), *desk.routes(), *accounts.routes(),
            *AuthorityPage(self.pages, wire.authority).routes(),
            *StatusPage(self.pages, signin, status, trend, time.monotonic).routes(),
        ]
