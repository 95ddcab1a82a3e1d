"""The central platform of a site without a network: never in reach, said in clear words.

- Feed, keys and journal travel as files there (edge.sync.bundle); everything else of the node is
  the same.
"""

from typing import NoReturn

from edge.errors import CentralError
from edge.hotpath.checkpoint import Checkpoint, CheckpointAnswer
from edge.protocol.journal import JournalUpload
from edge.protocol.report import NodeReport
from edge.sync.ports import ListAnswer, ShipAnswer


class AbsentCentral:
    """Implements `Central`, and what the node's client does besides."""

    async def feed(self, cursor: int, wait_s: int) -> bytes:  # noqa: ARG002 - of the port
        """Fail."""
        self._absent()

    async def keys(self) -> bytes:
        """Fail."""
        self._absent()

    async def timestamp(self) -> bytes | None:
        """Fail."""
        self._absent()

    async def root(self, version: int) -> bytes | None:  # noqa: ARG002 - of the port
        """Fail."""
        self._absent()

    async def time(self) -> float:
        """Fail."""
        self._absent()

    async def ship(self, upload: JournalUpload) -> ShipAnswer:  # noqa: ARG002 - of the port
        """Fail."""
        self._absent()

    async def countersign(self, point: Checkpoint) -> CheckpointAnswer:  # noqa: ARG002 - the port's
        """Fail."""
        self._absent()

    async def status_list(
        self, number: int, tag: str  # noqa: ARG002 - of the port
    ) -> ListAnswer | None:
        """Fail."""
        self._absent()

    async def report(self, report: NodeReport) -> None:  # noqa: ARG002 - of the port
        """Fail."""
        self._absent()

    async def close(self) -> None:
        """Do nothing."""

    def _absent(self) -> NoReturn:
        raise CentralError("this site has no network: bring it a bundle (`kanhe bundle import`)")
