"""The last answers of a gate, as `GET /v1/verifications` shows them."""

from collections.abc import Iterable

import msgspec

from edge.hotpath.reasons import Reason
from edge.hotpath.words import message_for
from edge.protocol.journal import VerificationRecord
from edge.protocol.records import Words


class ShiftRow(msgspec.Struct, frozen=True):
    """One answer with its words, as the list of a shift shows it."""

    verification_id: str
    kind: str
    at_ms: int
    scene: str
    decision: str
    reason: str
    credential_type: str
    actor: str
    message: Words


class ShiftShown(msgspec.Struct, frozen=True):
    """The last answers of a gate."""

    verifications: tuple[ShiftRow, ...]


def show_shift(records: Iterable[VerificationRecord]) -> ShiftShown:
    """Give records with their words, and without what only the journal needs."""
    return ShiftShown(tuple(
        ShiftRow(record.verification_id, record.kind, record.at_ms, record.scene,
                 record.decision, record.reason, record.credential_type, record.actor,
                 message_for(Reason(record.reason), record.why))
        for record in records
    ))
