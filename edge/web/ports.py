"""What the web needs of the pipeline."""

from collections.abc import Callable
from typing import Protocol

from edge.pipeline.answer import Outcome
from edge.pipeline.arrivals import ArrivalsShown
from edge.pipeline.calls import (
    ArrivalsCall,
    CaptureCall,
    DecisionCall,
    IdentificationCall,
    VerificationCall,
)
from edge.pipeline.challenges import ChallengeShown
from edge.pipeline.looks import CodeLook, FaceLook
from edge.protocol.records import GateRecord, ScenePolicy


class Verifies(Protocol):
    """What the web needs of the pipeline."""

    async def verify(self, call: VerificationCall) -> Outcome:
        """Answer a verification."""
        ...

    def take(self, call: VerificationCall, answered: Callable[[Outcome | Exception], None]) -> bool:
        """Answer a code alone by calling `answered`; False if `verify` has to be asked."""
        ...

    async def capture(self, call: CaptureCall) -> Outcome:
        """Answer a capture."""
        ...

    def challenge(self, gate: GateRecord, scene: str) -> ChallengeShown:
        """Give a challenge."""
        ...

    def scenes(self, gate: GateRecord) -> list[ScenePolicy]:
        """Give the policies of a gate's scenes."""
        ...


class Decides(Protocol):
    """What the web needs of decisions."""

    async def decide(self, call: DecisionCall) -> Outcome:
        """Answer a decision."""
        ...


class Identifies(Protocol):
    """What the web needs of identification."""

    async def identify(self, call: IdentificationCall) -> Outcome:
        """Answer an identification."""
        ...


class Expects(Protocol):
    """What the web needs of lists of arrivals."""

    async def fetch(self, call: ArrivalsCall) -> ArrivalsShown:
        """Fetch who is expected."""
        ...


class Looks(Protocol):
    """What the web needs for looking at frames."""

    async def look_for_code(self, image: bytes, deadline_s: float, owner: str) -> CodeLook:
        """Read the codes of one frame."""
        ...

    async def look_for_face(self, image: bytes, deadline_s: float, owner: str) -> FaceLook:
        """Judge whether one frame's face can be compared."""
        ...
