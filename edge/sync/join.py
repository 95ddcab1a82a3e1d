"""Joining a platform without a network: a request file there, an answer file back.

- The node pins the platform's root by its fingerprint, which is carried another way than the
  file: on paper, by telephone.
- The platform's administrator compares the request's fingerprint the same way.
- There is no token: such a node never calls.
"""

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.errors import ConfigError, FeedRefused
from edge.protocol.bundle import FORMAT, REQUEST_CONTEXT, JoinAnswer, JoinRequest
from edge.protocol.feed import FINGERPRINT_CHARS
from edge.sync.enrol import NAME_CHARS_MAX
from edge.sync.envelope import UNREADABLE, Refusal, Rule
from edge.sync.ports import FeedStore
from edge.sync.rules import RootOfTrust
from edge.sync.state import Enrolment, load_enrolment, meta_of_enrolment, meta_of_root


def make_request(name: str, signing: Ed25519PrivateKey, seal_public: bytes) -> JoinRequest:
    """Say who this node is.

    Raises:
        ConfigError: The name can't be one.
    """
    if not 1 <= len(name) <= NAME_CHARS_MAX:
        raise ConfigError(f"a node's name has 1 to {NAME_CHARS_MAX} characters")
    return JoinRequest(
        format=FORMAT, name=name, sign_public=signing.public_key().public_bytes_raw(),
        seal_public=seal_public,
        signature=signing.sign(REQUEST_CONTEXT + seal_public + name.encode()))


def join(
    store: FeedStore, answer: bytes, *, fingerprint: str, name: str, more: dict[str, bytes]
) -> Enrolment:
    """Take up the platform's answer.

    Args:
        store: An empty one; it keeps who the node is.
        answer: The file, JSON.
        fingerprint: Of the platform's root, as its administrator reads it out.
        name: What the node calls itself.
        more: Further values to keep in the same transaction.

    Raises:
        ConfigError: This store is enrolled already, or the fingerprint can't be one.
        FeedRefused: The answer can't be read, or its root isn't the one that was named.
        StoreError: It couldn't be put down.
    """
    fingerprint = fingerprint.strip().lower()
    if len(fingerprint) != FINGERPRINT_CHARS:
        raise ConfigError(f"a root's fingerprint has {FINGERPRINT_CHARS} characters")
    if load_enrolment(store) is not None:
        raise ConfigError("this data folder is enrolled already: use another one")
    try:
        found = msgspec.json.decode(answer, type=JoinAnswer)
    except UNREADABLE as error:
        raise FeedRefused(f"this is no answer of a platform: {error}") from error
    base = RootOfTrust.pinned(found.root, code=fingerprint, node_id=found.node_id)
    if base.root.log != found.log or not found.node_id:
        raise Refusal(Rule.LOG, "the answer names another log than its root, or no node")
    enrolment = Enrolment(node_id=found.node_id, token="", log=found.log, name=name)
    store.apply((), 0, {**meta_of_root(base), **meta_of_enrolment(enrolment), **more})
    return enrolment
