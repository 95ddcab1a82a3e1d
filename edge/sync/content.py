"""The last trust rule: what believed changes hold must be fit to become keys of a store.

- Signatures hold already, so this is no defence against strangers; it keeps a fault of
  the platform from becoming a damaged store.
- One unfit change refuses its whole batch: nothing of a batch is believed by halves.
"""

from collections.abc import Sequence

from edge.hotpath.renewal import DIMENSIONS_MAX
from edge.protocol.feed import (
    CHANGES_MAX,
    EPOCHS_MAX,
    Change,
    DropCredential,
    DropPolicy,
    DropReference,
    PutCredential,
    PutGate,
    PutPolicy,
    PutReference,
    PutStatus,
    SealedChange,
    SealedEpoch,
)
from edge.sync.envelope import Refusal, Rule

ID_BYTES = 16
HASH_BYTES = 32
NAME_BYTES_MAX = 128
"""Of a scene, a gate id, a pack id, a region."""
KEY_EPOCH_MAX = 2**32 - 1


def check_changes(changes: Sequence[Change]) -> None:
    """Demand ids, hashes and names of fit lengths, and no more changes than the bound.

    Raises:
        Refusal: Rule `content`.
    """
    if len(changes) > CHANGES_MAX:
        raise Refusal(Rule.CONTENT, f"{len(changes)} changes in a batch are over the bound")
    check_fits(changes)


def check_fits(changes: Sequence[Change]) -> None:
    """Demand ids, hashes and names of fit lengths.

    Raises:
        Refusal: Rule `content`.
    """
    for number, change in enumerate(changes):
        if not _fits(change):
            raise Refusal(
                Rule.CONTENT, f"change {number} of the batch has an id or name of wrong length")


def check_epochs(epochs: Sequence[SealedEpoch]) -> None:
    """Demand days that can be, each once, and no more than the bound.

    Raises:
        Refusal: Rule `content`.
    """
    days = {epoch.key_epoch for epoch in epochs}
    if len(epochs) > EPOCHS_MAX or len(days) != len(epochs):
        raise Refusal(Rule.CONTENT, "a key epoch comes twice, or there are too many")
    if not all(0 <= day <= KEY_EPOCH_MAX for day in days):
        raise Refusal(Rule.CONTENT, "a key epoch is no day")


def _fits(change: Change) -> bool:
    match change:
        case PutCredential(credential=credential):
            return (_id(credential.credential_id) and _id(credential.holder_id)
                    and _region(credential.region))
        case DropCredential(credential_id=credential_id):
            return _id(credential_id)
        case PutReference(reference=reference):
            return (_id(reference.holder_id) and _name(reference.pack)
                    and 1 <= len(reference.template) <= DIMENSIONS_MAX
                    and _region(reference.region))
        case DropReference(holder_id=holder_id, pack=pack):
            return _id(holder_id) and _name(pack)
        case PutStatus(status=status):
            return _id(status.credential_id)
        case PutPolicy(policy=policy):
            return _name(policy.scene)
        case DropPolicy(scene=scene):
            return _name(scene)
        case PutGate(gate=gate):
            return _name(gate.gate_id) and len(gate.secret_hash) == HASH_BYTES
        case SealedChange():
            return False
        case _:
            return True


def _id(value: bytes) -> bool:
    return len(value) == ID_BYTES


def _region(value: str) -> bool:
    return not value or (_name(value) and value.isprintable())


def _name(value: str) -> bool:
    return 1 <= len(value.encode()) <= NAME_BYTES_MAX
