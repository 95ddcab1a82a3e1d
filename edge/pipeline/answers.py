"""The same `request_id` gives the same answer again.

- Kept for a bounded time and number, as the bytes that were sent; while the first is under way,
  others wait for it.
- A failure isn't an answer: after one the same request may try again.
- One table a node: what other processes of it work on is claimed here before it is settled.
- Where the nodes of a site share answers, one that another node gave counts too.
- After a restart the table is rebuilt from the journal: an entry then holds the record, from
  which the answer is made when it is asked for.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from edge.pipeline.answer import Outcome
from edge.pipeline.calls import DeadlineMissed, RequestConflict
from edge.protocol.journal import Receipt, VerificationRecord

KEPT_S = 600.0
KEPT_MAX = 200_000
CONFLICT = "this request_id was used with another content"

Key = bytes
"""First 16 bytes of SHA-256(gate_id ‖ 0 ‖ request_id)."""


class _Entry(msgspec.Struct, gc=False):
    """One request and what became of it."""

    body_digest: bytes
    expires_s: float
    outcome: "bytes | asyncio.Future[Outcome] | tuple[VerificationRecord, Receipt] | None"
    """The answer's bytes; None or a future (if somebody waits) while it is under way."""


class SharedAnswers(Protocol):
    """Answers of all nodes of a site (edge.cache)."""

    async def find(self, id_: bytes) -> bytes | None:
        """Give what was kept; takes no longer than its deadline and raises nothing."""
        ...

    def keep(self, id_: bytes, value: bytes) -> None:
        """Have it kept soon, if it can be; takes microseconds."""
        ...


class RecentAnswers:
    """Recent answers by request.

    Attributes:
        shared: Answers of all nodes of the site, None for a node on its own.
    """

    def __init__(
        self,
        remake: Callable[[VerificationRecord, Receipt], Outcome],
        kept_s: float = KEPT_S,
        kept_max: int = KEPT_MAX,
    ) -> None:
        """Begin empty; `remake` makes an answer from a journalled record."""
        self._remake = remake
        self._kept_s, self._kept_max = kept_s, kept_max
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self.shared: SharedAnswers | None = None

    def __len__(self) -> int:
        """Count what is kept."""
        return len(self._entries)

    def restore(self, record: VerificationRecord, receipt: Receipt, age_s: float) -> None:
        """Take up a journalled answer after a restart."""
        left = self._kept_s - age_s
        if left > 0.0:
            self._entries[record.request_digest] = _Entry(
                record.body_digest, time.monotonic() + left, (record, receipt)
            )

    async def once(
        self, key: Key, body_digest: bytes, work: Callable[[], Awaitable[Outcome]]
    ) -> Outcome:
        """Give the answer of a request, working only if there is none.

        Raises:
            RequestConflict: The same request_id came with another body.
        """
        found = self.claim(key, body_digest)
        if found is not None:
            return Outcome(found) if isinstance(found, bytes) else await asyncio.shield(found)
        try:
            if self.shared is None:
                outcome = await work()
            else:
                outcome = await self._at_site(self.shared, key, body_digest, work)
        except BaseException as error:
            self.fail(key, error)
            raise
        self.settle(key, outcome)
        return outcome

    def claim(self, key: Key, body_digest: bytes) -> "bytes | asyncio.Future[Outcome] | None":
        """Ask for the answer of a request before working on it.

        Returns:
            The answer; what gives it while it is under way; or None: it is the caller's now, until
            `settle` or `fail`.

        Raises:
            RequestConflict: The same request_id came with another body.
        """
        now = time.monotonic()
        self._forget(now)
        entry = self._entries.get(key)
        if entry is not None:
            return self._found(entry, body_digest)
        self._entries[key] = _Entry(body_digest, now + self._kept_s, None)
        return None

    def settle(self, key: Key, outcome: Outcome | tuple[VerificationRecord, Receipt]) -> None:
        """Give the answer of a claimed request, or what it can be made of, also to who waits."""
        entry = self._entries[key]
        waited_for = entry.outcome
        entry.outcome = outcome.body if isinstance(outcome, Outcome) else outcome
        if isinstance(waited_for, asyncio.Future):
            if isinstance(outcome, tuple):
                try:
                    outcome = self._remake(*outcome)
                except Exception as error:
                    # The record stays: who asks next has it tried again.
                    _fail(waited_for, error)
                    return
                entry.outcome = outcome.body
            waited_for.set_result(outcome)

    def fail(self, key: Key, error: BaseException) -> None:
        """Let go of a claimed request that came to nothing."""
        entry = self._entries.pop(key)
        if isinstance(entry.outcome, asyncio.Future):
            _fail(entry.outcome, error)

    def unmade(self, key: Key, error: Exception) -> None:
        """Let go of a request that is journalled, but no answer could be made of its record."""
        self.fail(key, error)

    async def _at_site(
        self, shared: SharedAnswers, key: Key, body_digest: bytes,
        work: Callable[[], Awaitable[Outcome]],
    ) -> Outcome:
        """Give another node's answer, or work and let the others have it."""
        found = await shared.find(key)
        if found is None:
            outcome = await work()
            shared.keep(key, body_digest + outcome.body)
            return outcome
        if found[:len(body_digest)] != body_digest:
            raise RequestConflict(CONFLICT)
        return Outcome(found[len(body_digest):])

    def _found(self, entry: _Entry, body_digest: bytes) -> "bytes | asyncio.Future[Outcome]":
        if entry.body_digest != body_digest:
            raise RequestConflict(CONFLICT)
        if isinstance(entry.outcome, tuple):
            entry.outcome = self._remake(*entry.outcome).body
        if entry.outcome is None:
            entry.outcome = asyncio.get_running_loop().create_future()
        return entry.outcome

    def _forget(self, now: float) -> None:
        """Drop what is too old or too much; entries are in order of age."""
        while self._entries:
            key = next(iter(self._entries))
            entry = self._entries[key]
            if entry.outcome is None or isinstance(entry.outcome, asyncio.Future):
                return
            if entry.expires_s > now and len(self._entries) <= self._kept_max:
                return
            del self._entries[key]


def in_time(outcome: Outcome, deadline_s: float, now_s: float) -> Outcome:
    """Give an answer if it isn't late; both times are monotonic.

    Raises:
        DeadlineMissed: Its gate may have given up on it. The verdict is journalled and kept: the
            same request_id gets it.
    """
    if now_s > deadline_s:
        raise DeadlineMissed("the answer came too late: ask again with the same request_id")
    return outcome


def _fail(waited_for: "asyncio.Future[Outcome]", error: BaseException) -> None:
    """Tell those who waited for an answer that there is none."""
    if not isinstance(error, Exception):
        waited_for.cancel()
        return
    waited_for.set_exception(error)
    waited_for.exception()  # read once, so that a failure nobody waits for any more isn't logged
