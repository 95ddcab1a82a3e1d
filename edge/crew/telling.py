"""A trust as it is told to a worker: by what is new in it, and without keys.

- What a worker holds already stays the same object there, so that what is known by it (heads of
  gates) stays known.
- Keys are named by their days; the worker reads them from the sealed store.
"""

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge.crew.words import TrustTold
from edge.hotpath.keys import KeyRing
from edge.hotpath.trust import Trust
from edge.protocol.records import EpochKeys


def told(trust: Trust, held: Trust | None) -> TrustTold:
    """Say a trust to whoever holds another one, or none."""
    lists = held.lists if held is not None else {}
    return TrustTold(
        node_id=trust.node_id, log=trust.log, cursor=trust.cursor, mode=trust.mode,
        keys_as_of_s=trust.keys_as_of_s, status_as_of_s=trust.status_as_of_s,
        keys_pending=trust.keys_pending, central_clock_skew_s=trust.central_clock_skew_s,
        central_clock_as_of_s=trust.central_clock_as_of_s,
        card_keys=tuple(key.public_bytes_raw() for key in trust.card_keys),
        held=tuple(trust.lists),
        lists=tuple(item for uri, item in trust.lists.items() if lists.get(uri) is not item),
        policies=tuple(trust.policies.values())
        if held is None or held.policies != trust.policies else None,
        gates=tuple(trust.gates.values()) if held is None or held.gates != trust.gates else None,
        days=trust.keys.key_epochs if held is None or held.keys is not trust.keys else None,
    )


def heard(
    said: TrustTold, held: Trust | None, epochs: Callable[[], list[EpochKeys]]
) -> Trust:
    """Give the trust that was told, with what is held already and the keys of the store."""
    keys = held.keys if held is not None else KeyRing()
    if said.days is not None:
        keys = KeyRing.derive(item for item in epochs() if item.key_epoch in said.days)
    policies, gates = (held.policies, held.gates) if held is not None else ({}, {})
    if said.policies is not None:
        policies = {policy.scene: policy for policy in said.policies}
    if said.gates is not None:
        gates = {gate.gate_id: gate for gate in said.gates}
    lists = {**(held.lists if held is not None else {}), **{item.uri: item for item in said.lists}}
    return Trust(
        node_id=said.node_id, log=said.log, keys=keys, policies=policies, gates=gates,
        cursor=said.cursor, mode=said.mode, keys_as_of_s=said.keys_as_of_s,
        status_as_of_s=said.status_as_of_s, keys_pending=said.keys_pending,
        central_clock_skew_s=said.central_clock_skew_s,
        central_clock_as_of_s=said.central_clock_as_of_s,
        card_keys=tuple(Ed25519PublicKey.from_public_bytes(key) for key in said.card_keys),
        lists={uri: lists[uri] for uri in said.held},
    )
