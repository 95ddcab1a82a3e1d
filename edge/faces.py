"""What the node knows of the faces it holds: how many, and of which pack.

- From 100,000 faces on the operator files with the regulator: the node counts holders, not
  references, and warns before (once a run and rise: in the log, the journal, status, metrics).
- A node whose configuration names another face pack goes on with the previous one until it holds
  as many references of the new one.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import msgspec

from edge.protocol.report import FILING_FROM

NEAR_RATIO = 0.9
"""Share of `FILING_FROM` from which the node warns."""
_RISES = ("ok", "near", "due")
_LOG = logging.getLogger(__name__)
Note = Callable[[str, dict[str, str | int | float]], Awaitable[None]]
"""Journals an event with its detail."""


class Faces(msgspec.Struct, frozen=True):
    """How many holders' faces are held, and what that means."""

    held: int
    filing_from: int
    state: Literal["ok", "near", "due"]


def judge_faces(held: int) -> Faces:
    """Hold a number of faces against the rule."""
    near = held >= FILING_FROM * NEAR_RATIO
    return Faces(held, FILING_FROM, "due" if held >= FILING_FROM else "near" if near else "ok")


class FaceWatch:
    """Warns when faces become many. On the event loop."""

    def __init__(self, held: Callable[[], int], note: Note) -> None:
        """Watch a count and journal with `note`."""
        self._held, self._note = held, note
        self._said = 0
        self._task: asyncio.Future[None] | None = None

    def look(self) -> None:
        """Warn if there are more than was said before; call after every change."""
        faces = judge_faces(self._held())
        rise = _RISES.index(faces.state)
        if rise > self._said:
            self._said = rise
            _LOG.warning("faces.%s held=%d filing_from=%d", faces.state, faces.held,
                         faces.filing_from)
            detail: dict[str, str | int | float] = {
                "held": faces.held, "filing_from": faces.filing_from}
            self._task = asyncio.ensure_future(self._note(f"faces.{faces.state}", detail))


def pack_to_serve(wanted: str, previous: str, held: Mapping[str, int]) -> str:
    """Choose the pack to serve with: the wanted one, once its references are complete.

    Args:
        wanted: Pack of the configuration.
        previous: Pack to go on with until then; empty = don't wait.
        held: References held, by pack.
    """
    if previous and held.get(wanted, 0) < held.get(previous, 0):
        return previous
    return wanted


def pack_change(serving: str, wanted: str, held: Mapping[str, int]) -> str:
    """Say how a change of pack goes, in words; empty where there is none."""
    if serving == wanted:
        return ""
    have, need = held.get(wanted, 0), held.get(serving, 0)
    if have < need:
        return f"serving with {serving}: {have} of {need} references of {wanted} are here"
    return f"the references of {wanted} are complete: restart the node to serve with it"
