"""What the attacks with cards have in common: a desk that never heard of the holder."""

import msgspec

from edge.protocol.feed import DropCredential, DropReference
from edge.protocol.records import Status
from tests.fakes import cards
from tests.fakes.ports import PACK
from tests.pipeline.desk import CREDENTIAL, HOLDER, KEYS, NOW, OWNER, STEP, Desk

OTHER = bytes([8] * 16)


class StrangersDesk(Desk):
    """Knows keys, policies and a status list; holds no credential and no face."""

    def __init__(self, folder) -> None:
        super().__init__(folder)
        self.put(DropCredential(CREDENTIAL), DropReference(HOLDER, PACK))
        self.learn(Status.VALID)

    def learn(self, status: Status, **differently) -> None:
        """The status list arrives."""
        self.trust = msgspec.structs.replace(
            self.trust, card_keys=(cards.KEY.public_key(),),
            lists={cards.URI: cards.status_list(status, int(NOW) - 60, **differently)})

    def forget_lists(self) -> None:
        self.trust = msgspec.structs.replace(self.trust, lists={})

    def card(self, credential_id=CREDENTIAL, face=OWNER, *, record=None, **differently) -> bytes:
        said = cards.credential(credential_id, **(record or {}))
        reference = None if face is None else cards.reference(face)
        return cards.card(said, reference, differently.pop("epoch", KEYS), int(NOW), **differently)

    def sealed(self, card: bytes, credential_id=CREDENTIAL, step=STEP) -> str:
        return cards.code(credential_id, step, KEYS, card)

    async def shown(self, card: bytes, scene="face", face=OWNER, *, credential_id=CREDENTIAL,
                    step=STEP):
        """The answer to a genuine sealed code that carries a card."""
        call = self.call(scene, code=self.sealed(card, credential_id, step),
                         face=face if scene == "face" else None)
        return (await self.verifier.verify(call)).answer
