"""The database: transactions on a thread of their own, and the news of a commit.

- SQLite by default (WAL, full synchronisation); any SQLAlchemy address works.
- One writer at a time keeps numbers gapless and SQLite content; a transaction that fails leaves
  nothing behind.
- After a commit that appended to the feed, everybody who waits for the feed is woken.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec
from sqlalchemy import create_engine, event, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from central.errors import Refused
from central.keys import PlatformKeys
from central.schema import Act, Base, Counter, FeedChange
from edge.errors import StoreError
from edge.protocol.feed import Change

_T = TypeVar("_T")
BUSY_S = 15
ADMINISTRATOR = "administrator"
"""Whoever holds the administrator's token."""
_ENCODER = msgspec.msgpack.Encoder()


class Transaction:
    """What work inside one transaction has at hand.

    Attributes:
        session: SQLAlchemy's.
        keys: To seal and open.
        now_s: Unix seconds of this transaction.
        who: For the record of acts.
    """

    def __init__(self, session: Session, keys: PlatformKeys, now_s: int, who: str) -> None:
        """Begin with nothing published."""
        self.session, self.keys, self.now_s, self.who = session, keys, now_s, who
        self.published = False

    def publish(self, change: Change) -> int:
        """Append a change to the feed and give its number."""
        counter = self.session.get(Counter, "changes", with_for_update=True)
        if counter is None:
            counter = Counter(name="changes", value=0)
            self.session.add(counter)
        number = counter.value
        counter.value = number + 1
        sealed = self.keys.seal(f"change/{number}", _ENCODER.encode(change))
        self.session.add(FeedChange(number=number, sealed=sealed))
        self.session.flush()
        self.published = True
        return number

    def head(self) -> int:
        """Give how many changes the feed holds."""
        return self.session.scalar(select(Counter.value).where(Counter.name == "changes")) or 0

    def act(self, act: str, subject: str, reason: str = "", who: str = "") -> None:
        """Note what somebody did; `who` if it isn't who the transaction is for."""
        self.session.add(Act(
            at_s=self.now_s, who=(who or self.who)[:64], act=act, subject=subject[:128],
            reason=reason[:400],
        ))


class Database:
    """Runs transactions."""

    def __init__(
        self, url: str, keys: PlatformKeys, now: Callable[[], float] = time.time
    ) -> None:
        """Open the database and make missing tables.

        Raises:
            StoreError: It can't be opened.
        """
        self._keys, self._now = keys, now
        self._executor = ThreadPoolExecutor(1, "kanhe-database")
        self._news = asyncio.Event()
        try:
            self._engine = create_engine(url)
            if self._engine.dialect.name == "sqlite":
                event.listen(self._engine, "connect", _tune_sqlite)
                event.listen(self._engine, "begin", _begin_immediate)
            Base.metadata.create_all(self._engine)
        except SQLAlchemyError as error:
            raise StoreError(f"the database can't be opened: {type(error).__name__}") from error

    @property
    def news(self) -> asyncio.Event:
        """Set at the next commit that appends to the feed; take it before looking."""
        return self._news

    async def run(self, work: Callable[[Transaction], _T], who: str = ADMINISTRATOR) -> _T:
        """Run `work` in one transaction on the database's thread, for `who`.

        Raises:
            Refused: What `work` refused; nothing of it stays.
            StoreError: The database failed; nothing of it stays.
        """
        result, published = await asyncio.get_running_loop().run_in_executor(
            self._executor, self._run, work, who
        )
        if published:
            news, self._news = self._news, asyncio.Event()
            news.set()
        return result

    def _run(self, work: Callable[[Transaction], _T], who: str) -> tuple[_T, bool]:
        try:
            with Session(self._engine, expire_on_commit=False) as session, session.begin():
                transaction = Transaction(session, self._keys, int(self._now()), who)
                result = work(transaction)
            return result, transaction.published
        except Refused:
            raise
        except SQLAlchemyError as error:
            # The database's words could quote values, so they stay in the cause.
            raise StoreError(f"the database failed: {type(error).__name__}") from error

    def close(self) -> None:
        """Finish what runs and close."""
        self._executor.shutdown(wait=True)
        self._engine.dispose()


def _tune_sqlite(connection: Any, _: object) -> None:  # noqa: ANN401 - the driver's own
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_S * 1000}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Any) -> None:  # noqa: ANN401 - the driver's own
    connection.exec_driver_sql("BEGIN IMMEDIATE")
