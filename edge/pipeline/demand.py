"""A credential that isn't held is asked for at the central platform, within a deadline.

- Only codes that are genuine get here, so strangers can't make the node ask.
- One call for one credential, however many wait for it; few at once, and none while the platform
  is out of reach. Whoever can't have an answer in time goes on: `credential_unknown`, which refers.
- What comes is believed by the rules of the feed, and put down beside what is held.
- Not here: the call and its rules (edge.sync.lookup).
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from edge.errors import OperatingError
from edge.hotpath.presentation import AuthenticPresentation
from edge.hotpath.trust import Trust
from edge.protocol.feed import Change

AT_ONCE_MAX = 16
"""Calls at once; further credentials are unknown meanwhile."""
RESULTS = ("found", "unknown", "late", "failed", "busy", "offline")
"""How asking goes; the last two weren't asked for."""
_LOG = logging.getLogger(__name__)


class Lookups(Protocol):
    """Asks the central platform."""

    async def look_up(
        self, *, credential_ids: Sequence[bytes] = (), numbers: Sequence[str] = (), within_s: float
    ) -> tuple[int, tuple[Change, ...]]:
        """Ask; give how many were found, and what to put down.

        Raises:
            OperatingError: No believed answer in time.
        """
        ...


class Held(Protocol):
    """Where what was found goes."""

    async def hold(self, changes: Sequence[Change]) -> None:
        """Put records down beside what is held; a newer status stays.

        Raises:
            OperatingError: It couldn't be put down.
        """
        ...


class Demand:
    """Asks for what isn't held. On the event loop."""

    def __init__(
        self, *, held: Callable[[bytes], object | None], lookups: Lookups, into: Held,
        trust: Callable[[], Trust], deadline_s: float,
        count: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Wire up.

        Args:
            held: Looks a credential up in what is held.
            lookups: Asks the platform.
            into: Puts down what came.
            trust: Gives what the node trusts now.
            deadline_s: Longest that a verification waits for an answer.
            count: Hears how each that isn't held went, one of `RESULTS`.
        """
        self._held, self._lookups, self._into = held, lookups, into
        self._trust, self._deadline_s, self._count = trust, deadline_s, count
        self._asking: dict[bytes, asyncio.Task[None]] = {}
        self.asked = self.found = self.failed = 0

    async def want(self, credential_id: bytes) -> None:
        """Return when the credential is held, can't be had, or the deadline has passed."""
        if self._held(credential_id) is not None:
            return
        if self._trust().mode != "online":
            self._count("offline")
            return
        task = self._asking.get(credential_id)
        if task is None:
            if len(self._asking) >= AT_ONCE_MAX:
                self._count("busy")
                return
            task = asyncio.create_task(self._ask(credential_id))
            self._asking[credential_id] = task
            task.add_done_callback(lambda _: self._asking.pop(credential_id, None))
        await asyncio.wait((task,), timeout=self._deadline_s)

    async def stop(self) -> None:
        """End what is under way."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, credential_id: bytes) -> None:
        self.asked += 1
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            found, changes = await self._lookups.look_up(
                credential_ids=(credential_id,), within_s=self._deadline_s)
            if changes:
                await self._into.hold(changes)
        except OperatingError as error:
            self.failed += 1
            self._count("late" if loop.time() - began >= self._deadline_s else "failed")
            _LOG.warning("demand.failed", extra={"why": str(error)})
            return
        except Exception:
            self.failed += 1
            self._count("failed")
            _LOG.exception("demand.fault")
            return
        self.found += found
        if loop.time() - began >= self._deadline_s:
            self._count("late")
        else:
            self._count("found" if found else "unknown")


async def ask_for(demand: Demand | None, authentic: AuthenticPresentation | None) -> None:
    """Ask for the credential of a genuine code, where that is configured."""
    if demand is not None and authentic is not None:
        await demand.want(authentic.credential_id)
