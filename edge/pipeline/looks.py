"""A look at a frame: is there a code, is the face good enough? No verdict, no record.

- A console looks at its camera several times a second and verifies once: what is only looked at
  spends no presentation and no try.
- Words guide the person before the camera, by the same causes that a verdict would name.
"""

import msgspec

from edge.hotpath.holder import Probe
from edge.hotpath.qr.reading import has_presentation
from edge.hotpath.reasons import Reason
from edge.hotpath.words import message_for
from edge.pipeline.ports import CodeReader, FaceEngine
from edge.pipeline.workers import WorkerPool
from edge.protocol.records import Words


class CodeLook(msgspec.Struct, frozen=True, kw_only=True, tag_field="want", tag="code"):
    """What codes a frame shows.

    Attributes:
        texts: Presentations, exactly as read.
        others: How many other codes are in view.
        why, message: What keeps a code from being read, if none was.
    """

    texts: tuple[str, ...]
    others: int
    why: str
    message: Words | None


class FaceLook(msgspec.Struct, frozen=True, kw_only=True, tag_field="want", tag="face"):
    """Whether a frame's face is good enough to be judged, and if not, why."""

    ready: bool
    reason: str
    why: str
    message: Words | None


class Looker:
    """Looks at frames on the pools that verifications use."""

    def __init__(
        self, *, reader: CodeReader, face: FaceEngine, code_pool: WorkerPool,
        face_pool: WorkerPool,
    ) -> None:
        """Take the ports."""
        self._reader, self._face = reader, face
        self._code_pool, self._face_pool = code_pool, face_pool

    async def look_for_code(self, image: bytes, deadline_s: float, owner: str) -> CodeLook:
        """Read the codes of one frame for a gate, the owner.

        Raises:
            ImageError: Not an image we read, damaged, or beyond the bounds.
            OperatingError: No capacity.
        """
        reading = await self._code_pool.run(deadline_s, lambda: self._reader.read(image), owner)
        ours = tuple(text for text in reading.texts if has_presentation((text,)))
        others = len(reading.texts) + len(reading.binaries) - len(ours)
        message = None
        if not ours:
            reason = Reason.MALFORMED if others else Reason.CODE_UNREADABLE
            message = message_for(reason, reading.why)
        return CodeLook(texts=ours, others=others, why=reading.why, message=message)

    async def look_for_face(self, image: bytes, deadline_s: float, owner: str) -> FaceLook:
        """Judge whether one frame's face can be compared; raises as `look_for_code`."""
        probe = await self._face_pool.run(
            deadline_s, lambda: self._face.probe((image,)), owner)
        if isinstance(probe, Probe):
            return FaceLook(ready=True, reason="", why="", message=None)
        return FaceLook(ready=False, reason=probe.reason.value, why=probe.why,
                        message=message_for(probe.reason, probe.why))
