"""Enrols a node that has no network, by the request file it made.

- The administrator who does it compares the request's fingerprint with the node's by another way.
- Its record is that of an enrolment by code: the code is made and spent in the same act.
"""

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from central import nodes
from central.errors import Forbidden, Invalid
from central.store import Database, Transaction
from edge.protocol.bundle import FORMAT, REQUEST_CONTEXT, JoinAnswer, JoinRequest

ADMIT_CODE_S = 60
"""Life of the code that an administrator's own act makes and spends at once."""


async def admit(database: Database, root: bytes, log: str, data: bytes) -> JoinAnswer:
    """Enrol a node without a network by its request file.

    Raises:
        Refused: It isn't a request, its signature doesn't hold, or the node is enrolled already.
        StoreError: The database failed.
    """
    try:
        request = msgspec.json.decode(data, type=JoinRequest)
        Ed25519PublicKey.from_public_bytes(request.sign_public).verify(
            request.signature, REQUEST_CONTEXT + request.seal_public + request.name.encode())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Invalid("this is no request of a node") from error
    except InvalidSignature as error:
        raise Forbidden("the request was altered: have it made again") from error

    def work(tx: Transaction) -> str:
        code = nodes.node_code(tx, root, ADMIT_CODE_S)
        node_id, _, _ = nodes.enrol(tx, nodes.EnrolRequest(
            code=code, name=request.name, sign_public=request.sign_public,
            seal_public=request.seal_public))
        return node_id

    return JoinAnswer(format=FORMAT, node_id=await database.run(work), log=log, root=root)
