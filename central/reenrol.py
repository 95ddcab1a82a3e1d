"""References for another face pack, made from the photographs that the platform keeps.

- One holder after the other, each in a transaction of its own: whenever it is stopped, starting
  again goes on with whoever is left.
- Only for holders who agree to the comparison of faces; a reference keeps its photograph's age.
- A pack that is no longer used is dropped at nodes, and here where another pack's row keeps the
  photograph: who couldn't be enrolled with the new pack stays with the old one.
- Not here: when a node changes to the new pack (edge.faces).
"""

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec
from sqlalchemy import func, select

from central import consents
from central.errors import Conflict
from central.regions import region_to_publish
from central.schema import Photograph
from central.store import Database, Transaction
from edge.errors import ImageError, OperatingError
from edge.hotpath.holder import ProbeFault
from edge.models.engine import ReferenceDraft
from edge.protocol.feed import DropReference, PutReference
from edge.tasks import end_task

_LOG = logging.getLogger(__name__)
HOLDERS_AT_ONCE = 200
FAILED_SHOWN_MAX = 1_000
Act = Literal["make", "drop"]
Make = Callable[[bytes], ReferenceDraft | ProbeFault]
"""Judges a photograph with the new pack; blocking."""


class Draft(Protocol):
    """Runs `Make` beside the event loop."""

    async def __call__(self, image: bytes) -> ReferenceDraft | ProbeFault:
        """Judge a photograph."""
        ...


class Job(msgspec.Struct, kw_only=True):
    """One pass over all holders.

    Attributes:
        done, total: Holders looked at, of how many.
        changed: References made or dropped.
        failed: Holders whose photograph the pack can't use: they are to be photographed anew.
        failures: How many these are; `failed` names the first `FAILED_SHOWN_MAX`.
    """

    pack: str
    act: Act
    state: Literal["running", "done", "stopped"] = "running"
    done: int = 0
    total: int = 0
    changed: int = 0
    failures: int = 0
    failed: dict[str, str] = {}
    error: str = ""


class Reenrolment:
    """Runs one pass at a time. On the event loop."""

    def __init__(self, database: Database) -> None:
        """Begin idle."""
        self._database = database
        self._task: asyncio.Task[None] | None = None
        self.job: Job | None = None

    def begin(self, pack: str, act: Act, draft: Draft | None) -> Job:
        """Begin a pass; `draft` judges photographs where references are made.

        Raises:
            Conflict: Another one is under way.
        """
        if self._task is not None and not self._task.done():
            raise Conflict("references are being made already: wait until that is done")
        job = self.job = Job(pack=pack, act=act)
        self._task = asyncio.create_task(self._run(job, draft))
        return job

    async def stop(self) -> None:
        """Stop; what is done stays done."""
        await end_task(self._task)

    async def _run(self, job: Job, draft: Draft | None) -> None:
        try:
            job.total = await self._database.run(consents.count_faces)
            after = b""
            while holders := await self._database.run(functools.partial(_holders, after=after)):
                for holder_id in holders:
                    await self._one(job, holder_id, draft)
                    job.done += 1
                after = holders[-1]
            job.state = "done"
        except OperatingError as error:
            job.error = str(error)
        except Exception:
            _LOG.exception("references.failed pack=%s", job.pack)
            job.error = "it failed: see the platform's log"
        finally:
            if job.state == "running":
                job.state = "stopped"

    async def _one(self, job: Job, holder_id: bytes, draft: Draft | None) -> None:
        run = self._database.run
        if draft is None:
            job.changed += await run(lambda tx: _drop(tx, holder_id, job.pack))
            return
        image = await run(lambda tx: _photograph_for(tx, holder_id, job.pack))
        if image is None:
            return
        try:
            made = await draft(image)
        except ImageError as error:
            made_why = str(error)
        else:
            if isinstance(made, ReferenceDraft):
                job.changed += await run(
                    lambda tx: _put(tx, holder_id, job.pack, image, made))
                return
            made_why = made.why or made.reason.value
        job.failures += 1
        if len(job.failed) < FAILED_SHOWN_MAX:
            job.failed[holder_id.hex()] = made_why


def count_by_pack(tx: Transaction) -> dict[str, int]:
    """Count references by pack."""
    query = select(Photograph.pack, func.count()).group_by(Photograph.pack)
    return {pack: int(count) for pack, count in tx.session.execute(query)}


def _holders(tx: Transaction, after: bytes) -> list[bytes]:
    return list(tx.session.scalars(
        select(Photograph.holder_id).where(Photograph.holder_id > after).distinct()
        .order_by(Photograph.holder_id).limit(HOLDERS_AT_ONCE)))


def _newest(tx: Transaction, holder_id: bytes) -> Photograph | None:
    return tx.session.scalar(
        select(Photograph).where(Photograph.holder_id == holder_id)
        .order_by(Photograph.created_s.desc()).limit(1))


def _photograph_for(tx: Transaction, holder_id: bytes, pack: str) -> bytes | None:
    """Give the newest photograph, if the pack has no reference of it and may have one."""
    newest = _newest(tx, holder_id)
    if newest is None or not consents.is_given(tx, holder_id, consents.FACE_VERIFICATION):
        return None
    held = tx.session.get(Photograph, (holder_id, pack))
    if held is not None and held.created_s >= newest.created_s:
        return None
    return tx.keys.open(_place(holder_id, newest.pack), newest.image)


def _put(
    tx: Transaction, holder_id: bytes, pack: str, image: bytes, draft: ReferenceDraft
) -> bool:
    """Keep and publish a reference, unless consent or photograph changed meanwhile."""
    newest = _newest(tx, holder_id)
    if newest is None or _photograph_for(tx, holder_id, pack) != image:
        return False
    place = _place(holder_id, pack)
    tx.session.merge(Photograph(
        holder_id=holder_id, pack=pack, image=tx.keys.seal(place, image),
        template=tx.keys.seal(place, draft.template), quality=f"{draft.quality:.3f}",
        created_s=newest.created_s,
    ))
    tx.publish(PutReference(consents.reference_of(
        tx, holder_id, pack, draft.template, newest.created_s, region_to_publish(tx, holder_id))))
    tx.act("holder.reference", holder_id.hex(), f"pack {pack}, quality {draft.quality:.2f}")
    return True


def _drop(tx: Transaction, holder_id: bytes, pack: str) -> bool:
    row = tx.session.get(Photograph, (holder_id, pack))
    newest = tx.session.scalar(
        select(Photograph.created_s).where(
            Photograph.holder_id == holder_id, Photograph.pack != pack)
        .order_by(Photograph.created_s.desc()).limit(1))
    if row is None or newest is None or newest < row.created_s:
        return False
    tx.session.delete(row)
    tx.publish(DropReference(holder_id, pack))
    tx.act("holder.reference.drop", holder_id.hex(), f"pack {pack}")
    return True


def _place(holder_id: bytes, pack: str) -> str:
    return f"photograph/{holder_id.hex()}/{pack}"
