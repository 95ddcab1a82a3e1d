"""A process that appends records and prints each receipt, until it is killed."""

import asyncio
import sys
from pathlib import Path

from edge.audit.journal import FileJournal
from edge.node_key import NodeKey
from edge.protocol.journal import EventRecord


async def main(folder: str) -> None:
    journal = FileJournal(Path(folder), NodeKey(bytes([7] * 32)).signing)

    async def append(writer: int) -> None:
        for number in range(100_000):
            record = EventRecord(at_ms=1, event="test", detail={"w": writer, "n": number})
            receipt = await journal.append(record)
            sys.stdout.write(f"{receipt.index} {receipt.leaf}\n")
            sys.stdout.flush()

    await asyncio.gather(*(append(writer) for writer in range(4)))


asyncio.run(main(sys.argv[1]))
