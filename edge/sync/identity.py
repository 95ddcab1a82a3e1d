"""The node's token: rotated well before it ends, and got back by the node's key when it has.

- Two thirds into its life a token is rotated; a platform that doesn't know the node's token (any
  more) is asked for a new one at once, by proof of the key the node enrolled with.
- The new token is put down before it is used; the platform takes the old one until then.
- A failed rotation holds up nothing: the token may be good for days.
- Not here: who may have a new token (the central platform decides).
"""

import math

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.errors import CentralError
from edge.hotpath.node_seal import NodeSeal
from edge.protocol.identity import RenewRequest, renew_bytes, token_info
from edge.sync.client import CentralClient
from edge.sync.state import Enrolment

AGAIN_S = 600.0
"""Between two rotations, or two tries of one, while the token is good."""


class Identity:
    """Who this node is to the platform; driven by the follower, on the event loop."""

    def __init__(
        self, client: CentralClient, enrolment: Enrolment, signing: Ed25519PrivateKey,
        sealing: NodeSeal,
    ) -> None:
        """Begin with what the store holds.

        Args:
            client: Calls the platform, and shows it the token.
            enrolment: Who the node is.
            signing: The key it enrolled with.
            sealing: Opens what the platform seals to it.
        """
        self._client, self.enrolment = client, enrolment
        self._signing, self._sealing = signing, sealing
        self._doubted = False
        self._again_at = -math.inf
        self.error = ""

    def doubt(self) -> None:
        """Take note that the platform doesn't know the token."""
        self._doubted = True

    def is_due(self, now: float, moment: float) -> bool:
        """Say whether to rotate now.

        Args:
            now: Unix seconds.
            moment: Of a clock that never jumps.
        """
        return self._doubted or (now >= self.enrolment.renew_s and moment >= self._again_at)

    async def renewed(self, moment: float) -> Enrolment:
        """Get the next token; it isn't used before `use`.

        Raises:
            CentralError: It failed or was refused; `error` says so until one succeeds.
        """
        self._doubted, self._again_at = False, moment + AGAIN_S
        try:
            enrolment = await self._ask()
        except CentralError as error:
            self.error = str(error)
            raise
        self.error = ""
        return enrolment

    def use(self, enrolment: Enrolment) -> None:
        """Show the new token from now on; it has been put down."""
        self.enrolment = enrolment
        self._client.use_token(enrolment.token)

    async def _ask(self) -> Enrolment:
        known = self.enrolment
        challenge = await self._client.challenge(known.node_id)
        answer = await self._client.renew(RenewRequest(
            node_id=known.node_id, challenge=challenge,
            signature=self._signing.sign(renew_bytes(known.log, known.node_id, challenge))))
        try:
            token = self._sealing.open(
                answer.sealed, token_info(known.log, known.node_id)).decode()
        except (InvalidTag, ValueError) as error:
            raise CentralError("the new token isn't sealed to this node") from error
        if not token.isascii() or not token.isprintable() or not token:
            raise CentralError("the new token can't be one")
        return Enrolment(
            node_id=known.node_id, token=token, log=known.log, name=known.name,
            expires_s=answer.expires_s, renew_s=renew_at(answer.expires_s, answer.unix_s))


def renew_at(expires_s: int, now: float) -> int:
    """Give when a token that is new now is to be rotated: two thirds into its life."""
    return int(now + max(0.0, expires_s - now) * 2 / 3)
