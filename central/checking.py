"""The platform's own check of a code: what a node would say that holds all of today's data.

- The rules are the nodes' own (edge.hotpath), fed from the platform's tables, keys and clock.
  What a node may not know, the platform does: its status is of this moment, and it misses no
  credential.
- Spends nothing: which codes were shown is known to the nodes, so a replay isn't seen here.
- Sees no face: where the scene asks for one, the answer is that it is still to come.
- Not here: who may ask (central.web.check_routes).
"""

from collections.abc import Iterable

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from central import policies
from central.epochs import load_epochs, today
from central.registry import record_of
from central.schema import Credential
from central.store import Transaction
from edge.hotpath.card import check_card
from edge.hotpath.credential import check_credential
from edge.hotpath.keys import RING_DAYS_AHEAD, RING_DAYS_BACK, KeyRing
from edge.hotpath.presentation import AuthenticPresentation, check_presentation
from edge.hotpath.reasons import Reason
from edge.hotpath.timing import window_of
from edge.hotpath.verdict import Verdict, verdict
from edge.hotpath.words import message_for
from edge.protocol.records import ScenePolicy, Status, StatusRecord, Words


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What the platform says of a code in a scene; type and status once the code is genuine."""

    scene: str
    policy_version: int
    decision: str
    reason: str
    message: Words
    credential_type: str = ""
    credential_status: str = ""


def check_code(
    tx: Transaction, scene: str, text: str, *, log: str,
    card_keys: Iterable[Ed25519PublicKey], now: float,
) -> Checked:
    """Judge a code by what the platform knows, in the order of a verification.

    Args:
        tx: The transaction.
        scene: Whose policy counts.
        text: Exactly as read.
        log: Name of the feed.
        card_keys: Who may sign cards; with none, cards aren't read.
        now: Unix seconds.

    Raises:
        Unknown: There is no such scene.
    """
    policy = policies.get_policy(tx, scene)
    # 1. The code is genuine and in time.
    window = window_of(policy, "trusted")
    assert not isinstance(window, Verdict)
    day = today(now)
    keys = KeyRing.derive(load_epochs(tx, day - RING_DAYS_BACK, day + RING_DAYS_AHEAD))
    found = check_presentation(text, now, keys, window)
    if isinstance(found, Verdict):
        return _said(policy, found)
    # 2. A card that it carries is the issuer's.
    if found.card and policy.cards != "off" and (believed := tuple(card_keys)):
        card = check_card(found, log, believed)
        if isinstance(card, Verdict):
            return _said(policy, card)
    # 3. The credential stands and is accepted; then the face is still to come, if one is asked for.
    return _check_credential(tx, found, policy, now)


def _check_credential(
    tx: Transaction, authentic: AuthenticPresentation, policy: ScenePolicy, now: float
) -> Checked:
    row = tx.session.get(Credential, authentic.credential_id)
    credential, status = None, None
    if row is not None:
        credential = record_of(tx, row, "")
        status = StatusRecord(credential_id=row.id, status=Status(row.status),
                              changed_s=row.status_changed_s)
    found = check_credential(authentic, credential, status, policy, now=now, status_age_s=0)
    if found is None:
        found = verdict(Reason.FACE_ABSENT if policy.face == "required" else Reason.OK)
    return _said(policy, found, row)


def _said(policy: ScenePolicy, found: Verdict, row: Credential | None = None) -> Checked:
    return Checked(
        scene=policy.scene, policy_version=policy.version, decision=found.decision.value,
        reason=found.reason.value, message=message_for(found.reason, ""),
        credential_type=row.type if row else "", credential_status=row.status if row else "")
