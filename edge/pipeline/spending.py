"""Records of another process of this node, as they stand once their presentations are spent.

- An accept is never journalled unspent, whatever a process asks for.
- What was asked together is spent together, in its order.
- Not here: whose request it is, and whether it could be recorded (edge.pipeline.settling).
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from edge.hotpath.reasons import Decision, Reason
from edge.hotpath.verdict import verdict
from edge.pipeline.ports import ReplayGuard, SiteGuard, Spend
from edge.protocol.journal import JournalRecord, VerificationRecord
from edge.protocol.kh1 import step_at

_ACCEPT, _OK = Decision.ACCEPT._value_, Reason.OK._value_
_REPLAYED = verdict(Reason.PRESENTATION_REPLAYED)


def settleable(record: JournalRecord) -> VerificationRecord:
    """Insist that a record is one that another process may ask for.

    Raises:
        RuntimeError: It isn't.
    """
    if not isinstance(record, VerificationRecord):
        raise RuntimeError("only verifications are settled")
    if record.decision == _ACCEPT and (
            record.reason != _OK or record.face is not None
            or record.credential_id is None or record.step is None):
        raise RuntimeError("only a code alone is accepted beside the keeper")
    return record


def spent_of(
    records: Sequence[VerificationRecord], guard: ReplayGuard
) -> list[VerificationRecord]:
    """Spend the presentations of accepts of one moment, if there are any; give what is so then.

    Raises:
        StoreError: Nothing is spent.
    """
    spends = [_spend(record) for record in records if record.decision == _ACCEPT]
    fresh = iter(guard.spend_all(spends, step_at(records[0].at_ms / 1e3)) if spends else ())
    site, scope = guard.site, guard.scope
    refused = scope if site is None else site.scope
    return [
        _with_scope(record, refused) if record.decision != _ACCEPT
        else _with_scope(record if next(fresh) else _replayed(record), scope)
        for record in records
    ]


async def spent_at_site(record: VerificationRecord, site: SiteGuard | None) -> VerificationRecord:
    """Spend the presentation of an accept at the site too, where there is one."""
    if site is None or record.decision != _ACCEPT:
        return record
    found = await site.spend(*_spend(record))
    record = _with_scope(record, "node" if found == "node" else "site")
    return _replayed(record) if found == "spent" else record


def _spend(record: VerificationRecord) -> Spend:
    assert record.credential_id is not None
    assert record.step is not None
    return record.credential_id, record.step, record.request_digest


def _replayed(record: VerificationRecord) -> VerificationRecord:
    return msgspec.structs.replace(
        record, decision=_REPLAYED.decision._value_, reason=_REPLAYED.reason._value_, disclosed=())


def _with_scope(record: VerificationRecord, scope: Literal["node", "site"]) -> VerificationRecord:
    """Say how far the code was spent, which the process that judged it can't know."""
    if record.evidence.replay_scope == scope:
        return record
    return msgspec.structs.replace(
        record, evidence=msgspec.structs.replace(record.evidence, replay_scope=scope))
