"""News of the feed: who waits for a change is woken, whichever process made it.

- Within a process a commit wakes directly. PostgreSQL carries it to the other processes: NOTIFY
  inside the transaction, so that it is heard exactly when the change can be seen.
- The listener's connection may be lost: it is made anew, and everybody is woken once then, since
  something may have been missed. Until then nobody should sleep for longer than `LOOK_EVERY_S`.
"""

import asyncio
import logging

import psycopg
from sqlalchemy import URL

from edge.tasks import end_task

CHANNEL = "kanhe_feed"
LOOK_EVERY_S = 1.0
AGAIN_FIRST_S, AGAIN_MAX_S = 0.1, 2.0
ALIVE_EVERY_S = 20.0
CONNECT_S_MAX = 5
_LOG = logging.getLogger(__name__)


class News:
    """An event for all who wait, renewed at every piece of news. On the event loop."""

    def __init__(self) -> None:
        """Begin with nothing new."""
        self._event = asyncio.Event()

    @property
    def next(self) -> asyncio.Event:
        """Set at the next news; take it before looking."""
        return self._event

    def tell(self) -> None:
        """Wake everybody."""
        told, self._event = self._event, asyncio.Event()
        told.set()


class Listener:
    """Hears other processes' news over PostgreSQL. Lives once: start, stop."""

    def __init__(self, url: URL, news: News) -> None:
        """Take the database and whom to tell."""
        self._address = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._news = news
        self._task: asyncio.Task[None] | None = None
        self.hears = False

    def start(self) -> None:
        """Begin to listen."""
        self._task = asyncio.create_task(self._run(), name="kanhe-news")

    async def stop(self) -> None:
        """End."""
        await end_task(self._task)

    async def _run(self) -> None:
        pause_s = AGAIN_FIRST_S
        while True:
            try:
                await self._listen()
            except (psycopg.Error, OSError, TimeoutError) as error:
                if self.hears:
                    pause_s = AGAIN_FIRST_S
                    self.hears = False
                    self._news.tell()  # whoever sleeps long is to look again, and more often
                    _LOG.warning("news.lost", extra={"why": type(error).__name__})
            except Exception:
                # A fault of ours must not end the waking of long polls in silence.
                _LOG.exception("news.fault")
            self.hears = False
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, AGAIN_MAX_S)

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._address, autocommit=True, connect_timeout=CONNECT_S_MAX,
            application_name="kanhe-central-news")
        async with connection:
            await connection.execute(f"LISTEN {CHANNEL}".encode())
            self.hears = True
            _LOG.info("news.heard")
            self._news.tell()
            while True:
                async for _ in connection.notifies(timeout=ALIVE_EVERY_S):
                    self._news.tell()
                # Silence may be a dead connection: a question finds out.
                async with asyncio.timeout(CONNECT_S_MAX):
                    await connection.execute(b"SELECT 1")
