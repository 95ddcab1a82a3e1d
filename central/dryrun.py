"""Past answers in the platform's journal, judged under policies that aren't in force yet.

- Records are read in pieces, each in a transaction of its own, so that a dry run over years neither
  holds up the platform nor fills its memory.
- Every version of a policy is kept, so each answer is held against the one that it was judged by.
- Not here: what would have been another answer (edge.hotpath.dryrun).
"""

from collections.abc import Callable, Iterator

import msgspec
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from central.schema import JournalEntry, Policy
from central.store import Transaction
from edge.errors import StoreError
from edge.hotpath.dryrun import BeforePolicy
from edge.protocol.records import ScenePolicy

CHUNK_ROWS = 2_000
ANSWERS_MAX = 20_000
"""Answers that a dry run of the administration goes through."""
Row = tuple[str, bytes]
"""Log and record."""


def policies_before(session: Session, scene: str = "") -> BeforePolicy:
    """Give every version of the policies, of one scene or of all."""
    query = select(Policy.scene, Policy.version, Policy.body)
    if scene:
        query = query.where(Policy.scene == scene)
    held = {(name, version): msgspec.json.decode(body, type=ScenePolicy)
            for name, version, body in session.execute(query)}
    return lambda name, version: held.get((name, version))


def last_answers(tx: Transaction, scene: str, count: int) -> list[Row]:
    """Give the last answers of a scene, in the order of their logs."""
    newest = tx.session.execute(
        select(JournalEntry.log, JournalEntry.index, JournalEntry.record)
        .where(JournalEntry.scene == scene).order_by(JournalEntry.at_ms.desc())
        .limit(min(count, ANSWERS_MAX))).all()
    return [(log, record) for log, _, record in sorted(newest, key=lambda row: (row[0], row[1]))]


def walk_archive(
    engine: Engine, since_ms: int, progress: Callable[[int, int], None]
) -> Iterator[Row]:
    """Give log and record of every node's journal, log by log.

    Raises:
        StoreError: The database can't be read.
    """
    wanted = JournalEntry.at_ms >= since_ms
    try:
        with Session(engine) as session:
            total = session.scalar(
                select(func.count()).select_from(JournalEntry).where(wanted)) or 0
            logs = session.scalars(
                select(JournalEntry.log).distinct().order_by(JournalEntry.log)).all()
        done = 0
        for log in logs:
            last = -1
            while True:
                with Session(engine) as session:
                    rows = session.execute(
                        select(JournalEntry.index, JournalEntry.record)
                        .where(JournalEntry.log == log, JournalEntry.index > last, wanted)
                        .order_by(JournalEntry.index).limit(CHUNK_ROWS)).all()
                if not rows:
                    break
                yield from ((log, record) for _, record in rows)
                last = rows[-1][0]
                done += len(rows)
                progress(done, max(done, total))
    except SQLAlchemyError as error:
        raise StoreError(f"the journal can't be read: {type(error).__name__}") from error
