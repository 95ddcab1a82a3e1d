"""The database: transactions on threads of their own, and the news of a commit.

- SQLite by default, one transaction at a time. PostgreSQL: several at a time, in any number of
  processes; a transaction that met another one or lost its connection is tried again, a bounded
  number of times and seconds.
- A transaction is done once or not at all. If the connection breaks while it commits, PostgreSQL is
  asked afterwards whether it did.
- Gapless numbers: the counter's row is locked until the commit. Whoever failed once because of
  that goes in alone.
- After a commit that appended to the feed, everybody who waits for the feed is woken.
"""

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from central.engine import Trouble, open_engine, parse_address, trouble_of
from central.errors import Invalid
from central.keys import PlatformKeys
from central.news import CHANNEL, LOOK_EVERY_S, Listener, News
from central.schema import Act, Counter, FeedChange
from central.upgrade import prepare
from edge.errors import CapacityError, StoreError
from edge.protocol.feed import Change

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
CONNECTIONS = 8
WAITING_MAX = 5_000
"""Transactions that may wait for their turn."""
TRY_S_MAX = 6.0
"""From being asked for: so long is a transaction tried again; a node waits 10 s for an answer."""
TRIES_MAX = 40
PAUSE_FIRST_S, PAUSE_MAX_S = 0.01, 0.4
SETTLE_S = 3.0
"""Longer than for a try: so long is asked whether a transaction was done."""
ADMINISTRATOR = "administrator"
"""Whoever holds the administrator's token."""
_ALONE = text("LOCK TABLE counters IN EXCLUSIVE MODE")
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
            at_s=self.now_s, who=storable(who or self.who, 64), act=act,
            subject=storable(subject, 128), reason=storable(reason, 400),
        ))


class DatabaseStatus(msgspec.Struct, kw_only=True):
    """How the database is: counts since the start, and whether other processes are heard."""

    kind: str
    retried: int = 0
    failed: int = 0
    waiting: int = 0
    hears: bool = True
    last_error: str = ""


class Database:
    """Runs transactions."""

    def __init__(
        self, address: str, keys: PlatformKeys, now: Callable[[], float] = time.time,
        connections: int = CONNECTIONS,
    ) -> None:
        """Open the database and bring it to this version's schema.

        Raises:
            ConfigError: The address isn't one.
            StoreError: It can't be opened, or isn't of a schema for this version.
        """
        self._keys, self._now = keys, now
        url = parse_address(address)
        self._engine = open_engine(url, connections)
        self._postgres = self._engine.dialect.name == "postgresql"
        self._executor = ThreadPoolExecutor(
            connections if self._postgres else 1, "kanhe-database")
        self._news = News()
        self._listener = Listener(url, self._news) if self._postgres else None
        self._status = DatabaseStatus(kind=self._engine.dialect.name)
        self._counting = threading.Lock()
        try:
            prepare(self._engine)
        except SQLAlchemyError as error:
            self._engine.dispose()
            raise StoreError(
                f"the database can't be opened: {_name(error)}: is its server running, and is the "
                "address in database_url right?") from error

    def listen(self) -> None:
        """Begin to hear what other processes publish."""
        if self._listener is not None:
            self._listener.start()

    @property
    def news(self) -> asyncio.Event:
        """Set at the next commit that appends to the feed; take it before looking."""
        return self._news.next

    @property
    def look_every_s(self) -> float:
        """How long one may sleep without news: for ever, or shortly while others aren't heard."""
        return LOOK_EVERY_S if self._listener and not self._listener.hears else float("inf")

    @property
    def status(self) -> DatabaseStatus:
        """How the database is."""
        hears = self._listener is None or self._listener.hears
        return msgspec.structs.replace(self._status, hears=hears)

    async def run(self, work: Callable[[Transaction], _T], who: str = ADMINISTRATOR) -> _T:
        """Run `work` in one transaction on a thread of the database, for `who`.

        On PostgreSQL `work` may run several times, of which one counts: it changes nothing but
        through its transaction.

        Raises:
            Refused: What `work` refused, or a value that can't be stored; nothing of it stays.
            StoreError: The database failed; nothing of it stays, unless the message says that this
                isn't known.
            CapacityError: Too many wait.
        """
        if self._status.waiting >= WAITING_MAX:
            raise CapacityError("too many transactions wait for the database")
        self._status.waiting += 1
        try:
            result, published = await asyncio.get_running_loop().run_in_executor(
                self._executor, self._run, work, who, time.monotonic() + TRY_S_MAX)
        finally:
            self._status.waiting -= 1
        if published:
            self._news.tell()
        return result

    def _run(
        self, work: Callable[[Transaction], _T], who: str, until: float
    ) -> tuple[_T, bool]:
        """Try until it is done, can't be done, or the time is over."""
        pause_s, alone = PAUSE_FIRST_S, False
        for left in reversed(range(TRIES_MAX)):
            try:
                return self._once(work, who, until, alone=alone)
            except SQLAlchemyError as error:
                trouble = trouble_of(error)
                if trouble is Trouble.VALUE:
                    raise Invalid("a field holds what can't be stored: a character of no text, or "
                                  "too many") from error
                hopeless = not self._postgres or trouble is Trouble.BROKEN
                again = not hopeless and left > 0 and time.monotonic() < until
                self._count(error, again=again)
                if not again:
                    # The database's words could quote values, so they stay in the cause.
                    raise StoreError(f"the database failed: {_name(error)}") from error
                alone = trouble is Trouble.MET
            time.sleep(pause_s * (0.5 + random.random()))  # noqa: S311 - spreads, hides nothing
            pause_s = min(2 * pause_s, PAUSE_MAX_S)
        raise AssertionError("the last try returns or raises")

    def _once(
        self, work: Callable[[Transaction], _T], who: str, until: float, *, alone: bool
    ) -> tuple[_T, bool]:
        with Session(self._engine, expire_on_commit=False) as session:
            if alone:
                # Before anything is read: what is seen is then what the ones before left.
                session.execute(_ALONE)
            transaction = Transaction(session, self._keys, int(self._now()), who)
            result = work(transaction)
            session.flush()
            mark = self._mark(session, told=transaction.published)
            try:
                session.commit()
            except SQLAlchemyError as error:
                lost = mark is not None and trouble_of(error) is Trouble.GONE
                if not lost or not self._did_commit(mark, until + SETTLE_S):
                    raise
            return result, transaction.published

    def _mark(self, session: Session, *, told: bool) -> int | None:
        """Let the news travel with the commit; give the number of a transaction that wrote."""
        if not self._postgres:
            return None
        if told:
            session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})
        number: int | None = session.scalar(text("SELECT txid_current_if_assigned()"))
        return number

    def _did_commit(self, mark: int | None, until: float) -> bool:
        """Ask whether a transaction whose commit wasn't answered was done.

        Raises:
            StoreError: Nobody could say in time.
        """
        cause: SQLAlchemyError | None = None
        while time.monotonic() < until:
            try:
                with self._engine.connect() as connection:
                    word = connection.scalar(text("SELECT txid_status(:mark)"), {"mark": mark})
                if word in {"committed", "aborted"}:
                    return bool(word == "committed")
            except SQLAlchemyError as error:
                cause = error
            time.sleep(PAUSE_MAX_S / 2)
        raise StoreError(
            "the database was lost while it committed: look whether it was done before you do it "
            "again") from cause

    def _count(self, error: SQLAlchemyError, *, again: bool) -> None:
        with self._counting:
            self._status.retried += again
            self._status.failed += not again
            self._status.last_error = _name(error)
        level = logging.DEBUG if again else logging.WARNING
        _LOG.log(level, "database.again" if again else "database.failed",
                 extra={"why": _name(error)})

    async def stop(self) -> None:
        """Finish what runs and close."""
        if self._listener is not None:
            await self._listener.stop()
        self._executor.shutdown(wait=True)
        self._engine.dispose()


def storable(value: str, chars: int) -> str:
    """Cut a text of others to what a column takes on every database."""
    return value.replace("\0", "")[:chars]


def _name(error: SQLAlchemyError) -> str:
    """Name an error without its words, which could quote values."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return f"{type(error).__name__} {state}" if state else type(error).__name__
