"""The credential behind a genuine code: known, valid here, accepted in this scene.

- Runs only on an `AuthenticPresentation`, so nothing is ever said of a credential to
  somebody who doesn't hold a genuine code.
- "Can't know" (unknown, stale) is refer; what is known to be wrong is reject.
"""

from edge.hotpath.presentation import AuthenticPresentation
from edge.hotpath.reasons import Decision, Reason
from edge.hotpath.verdict import Verdict, verdict
from edge.protocol.records import CredentialRecord, ScenePolicy, Status, StatusRecord


def check_credential(
    authentic: AuthenticPresentation,
    credential: CredentialRecord | None,
    status: StatusRecord | None,
    policy: ScenePolicy,
    *,
    now: float,
    status_age_s: int | None,
) -> Verdict | None:
    """Judge the credential of a genuine presentation.

    Args:
        authentic: Evidence of the code.
        credential: What the node holds of it, None if nothing.
        status: Its status if anything was ever said of it; None counts as valid.
        policy: Of the scene.
        now: Unix seconds of this judgement.
        status_age_s: Age of the status that the node holds, None if it never had any.

    Returns:
        The verdict against it, None if nothing is.
    """
    # 1. Known: a node that holds nothing of it can't tell.
    if credential is None:
        return verdict(Reason.CREDENTIAL_UNKNOWN)
    assert credential.credential_id == authentic.credential_id

    # 2. to 4. What is known to be wrong with it.
    found = check_standing(credential, status, policy, now=now)
    if found is not None:
        return found

    # 5. Fresh enough to say that nothing was withdrawn since.
    return check_freshness(policy, status_age_s)


def check_freshness(policy: ScenePolicy, status_age_s: int | None) -> Verdict | None:
    """Judge whether the status held is too old to tell in this scene, None if it isn't."""
    bound = policy.trust_age_max_s
    if bound is not None and (status_age_s is None or status_age_s > bound):
        return verdict(Reason.TRUST_STALE, Decision(policy.trust_stale))
    return None


def check_standing(
    credential: CredentialRecord,
    status: StatusRecord | None,
    policy: ScenePolicy,
    *,
    now: float,
) -> Verdict | None:
    """Judge what is known of a credential; nobody's decision outweighs it.

    Args:
        credential: What the node holds of it.
        status: Its status if anything was ever said of it; None counts as valid.
        policy: Of the scene.
        now: Unix seconds of this judgement.

    Returns:
        The verdict against it, None if nothing is known to be wrong.
    """
    # 2. Status: what is known to be withdrawn stays so, however old the news.
    if status is not None and status.status is Status.REVOKED:
        return verdict(Reason.CREDENTIAL_REVOKED)
    if status is not None and status.status is Status.SUSPENDED:
        return verdict(Reason.CREDENTIAL_SUSPENDED)

    # 3. Validity: an end is exclusive.
    if now < credential.valid_from_s:
        return verdict(Reason.CREDENTIAL_EXPIRED)
    if credential.valid_until_s is not None and now >= credential.valid_until_s:
        return verdict(Reason.CREDENTIAL_EXPIRED)

    # 4. Accepted in this scene.
    if credential.type not in policy.accepts:
        return verdict(Reason.CREDENTIAL_NOT_ACCEPTED_HERE)
    return None
