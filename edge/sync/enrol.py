"""Enrolment: a one-time code makes this node known, and pins whom it believes.

- The code ends in the fingerprint of the platform's root: what answers with another root
  isn't the platform that the administrator meant, and nothing of it is kept.
- The node sends public keys only; its private keys never leave it.
- All that is learned is stored in one transaction; a node enrols once into one data folder.
- Not here: making the node's keys, or asking for the code.
"""

import logging

from edge.access.tls import pin_holds, unchecked_context
from edge.errors import ConfigError, FeedRefused
from edge.protocol.feed import FINGERPRINT_CHARS
from edge.sync.client import CentralClient, EnrolRequest
from edge.sync.envelope import Refusal, Rule
from edge.sync.identity import renew_at
from edge.sync.ports import FeedStore
from edge.sync.rules import RootOfTrust
from edge.sync.state import Enrolment, load_enrolment, meta_of_enrolment, meta_of_root
from edge.sync.worker import Worker

CODE_CHARS_MAX = 256
NAME_CHARS_MAX = 64
_LOG = logging.getLogger(__name__)


async def learn_authority(url: str, pin: str) -> bytes:
    """Fetch the certificate of the platform's local authority and hold it against its pin.

    Args:
        url: Of the platform, https.
        pin: SHA-256 of the authority's public key, hex, as the administrator's page gives it.

    Returns:
        PEM.

    Raises:
        CentralError: The platform can't be reached or has no local authority.
        FeedRefused: The certificate isn't of that authority.
    """
    client = CentralClient(url, tls=unchecked_context())
    try:
        pem = await client.authority()
    finally:
        await client.close()
    if pem is None or not pin_holds(pem, pin):
        raise FeedRefused("the platform's certificate isn't of the authority that was named: "
                          "compare the fingerprint with the administrator's")
    return pem


async def enrol(
    client: CentralClient,
    store: FeedStore,
    *,
    code: str,
    name: str,
    sign_public: bytes,
    seal_public: bytes,
) -> Enrolment:
    """Enrol this node with a one-time code.

    Args:
        client: Calls the platform; needs no token yet.
        store: An empty one; it keeps who the node is.
        code: As an administrator handed it over.
        name: What the node calls itself.
        sign_public: Ed25519 public key (32 bytes) of its journal.
        seal_public: What key epochs are sealed to (edge.hotpath.node_seal).

    Raises:
        ConfigError: The code or the name can't be one, or this store is enrolled already.
        CentralError: The platform can't be reached or refused the code.
        FeedRefused: The root that came isn't the one the code names.
        StoreError: It couldn't be put down.
    """
    code = code.strip()
    if not FINGERPRINT_CHARS < len(code) <= CODE_CHARS_MAX or not code.isascii():
        raise ConfigError("this can't be an enrolment code: copy the whole of it")
    if not 1 <= len(name) <= NAME_CHARS_MAX:
        raise ConfigError(f"a node's name has 1 to {NAME_CHARS_MAX} characters")
    worker = Worker("kanhe-enrol")
    try:
        if await worker.run(load_enrolment, store) is not None:
            raise ConfigError("this data folder is enrolled already: use another one")
        answer = await client.enrol(EnrolRequest(
            code=code, name=name, sign_public=sign_public, seal_public=seal_public))
        base = RootOfTrust.pinned(answer.root, code=code, node_id=answer.node_id)
        if base.root.log != answer.log:
            raise Refusal(Rule.LOG, "the platform names another log than its root")
        if not answer.node_id or not answer.token:
            raise Refusal(Rule.CONTENT, "the platform gave no node id or no token")
        enrolment = Enrolment(
            node_id=answer.node_id, token=answer.token, log=answer.log, name=name,
            expires_s=answer.expires_s, renew_s=renew_at(answer.expires_s, answer.unix_s))
        await worker.run(
            store.apply, (), 0, {**meta_of_root(base), **meta_of_enrolment(enrolment)})
    finally:
        worker.close()
    _LOG.info("node.enrolled", extra={"node_id": enrolment.node_id, "log": enrolment.log})
    return enrolment
