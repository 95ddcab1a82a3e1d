"""Verifications whose code holds and whose face is still to come.

- Open for a bounded time and number of tries; only its own gate may go on with one.
- A closed one is remembered until its time is up, so that it can be told from an unknown one.
- In memory only: after a restart the holder shows the next code.
"""

import time
from collections import OrderedDict
from typing import Literal

import msgspec

from edge.errors import CapacityError
from edge.hotpath.presentation import AuthenticPresentation
from edge.pipeline.calls import VerificationClosed, VerificationUnknown

OPEN_MAX = 20_000


class OpenVerification(msgspec.Struct):
    """One verification that waits for its face."""

    gate_id: str
    scene: str
    authentic: AuthenticPresentation
    expires_s: float
    tries_left: int
    replay_scope: Literal["node", "site"] | None = None
    """How far its code was spent; None = the site wasn't asked."""


class OpenVerifications:
    """The table of them."""

    def __init__(self, open_max: int = OPEN_MAX) -> None:
        """Begin empty."""
        self._open: OrderedDict[str, OpenVerification] = OrderedDict()
        self._open_max = open_max

    def __len__(self) -> int:
        """Count them, closed ones whose time isn't up included."""
        return len(self._open)

    def check_room(self) -> None:
        """Insist on room for one more, before anything is spent.

        Raises:
            CapacityError: Too many are open.
        """
        self._forget()
        if len(self._open) >= self._open_max:
            raise CapacityError("too many verifications wait for a face")

    def open(self, verification_id: str, item: OpenVerification) -> None:
        """Keep one open."""
        self._open[verification_id] = item

    def take_try(self, verification_id: str, gate_id: str) -> OpenVerification:
        """Use one try of an open verification.

        Raises:
            VerificationUnknown: There is none of that id for this gate.
            VerificationClosed: It has its answer, or is out of time or tries.
        """
        item = self._open.get(verification_id)
        if item is None or item.gate_id != gate_id:
            raise VerificationUnknown("no such verification of this gate")
        if item.tries_left <= 0 or item.expires_s <= time.monotonic():
            raise VerificationClosed("this verification is closed: show the code again")
        item.tries_left -= 1
        return item

    def close(self, verification_id: str) -> None:
        """Close one for good; it stays known until its time is up."""
        item = self._open.get(verification_id)
        if item is not None:
            item.tries_left = 0

    def _forget(self) -> None:
        now = time.monotonic()
        for verification_id, item in list(self._open.items())[:64]:
            if item.expires_s + _REMEMBERED_S < now:
                del self._open[verification_id]


_REMEMBERED_S = 60.0
"""How long after its time a verification is still known as closed."""
