"""A stopped node's data folder opened by a command: store, journal, and who it is.

- The journal's lock keeps a running node and a command apart.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from edge.audit.journal import FileJournal, JournalOptions
from edge.cache.store import LmdbStore
from edge.clock import SystemClock
from edge.config import EdgeConfig, load_config
from edge.errors import ConfigError, JournalError
from edge.hotpath.trust import Trust
from edge.node_key import NodeKey, load_or_create_node_key
from edge.parts import open_store
from edge.protocol.journal import EventRecord
from edge.protocol.report import NodeReport
from edge.protocol.steps import DAY_S
from edge.report import node_version
from edge.sync.believer import Believer
from edge.sync.bundle import Brought, Bundle, PackSink
from edge.sync.state import load_base, load_enrolment, load_trust
from edge.sync.worker import Worker


class NodeFolder(msgspec.Struct, frozen=True, kw_only=True):
    """What is in it, open."""

    config: EdgeConfig
    key: NodeKey
    store: LmdbStore
    journal: FileJournal
    node_id: str

    def report(self, now: float) -> NodeReport:
        """Say how the node is, for the platform that hears of it by file only."""
        enrolment = load_enrolment(self.store)
        assert enrolment is not None
        trust = load_trust(self.store, load_base(self.store, enrolment))
        problems = []
        if not trust.policies:
            problems.append("no scene is known yet: bring a bundle")
        if int(now // DAY_S) not in trust.keys:
            problems.append("no keys are held for today: bring a bundle")
        return NodeReport(
            version=node_version(), ready=not problems, problems=tuple(problems),
            clock=SystemClock(folder=self.config.data_dir).state, cursor=trust.cursor,
            keys_age_s=trust.keys_age_s(now), status_age_s=trust.status_age_s(now),
            face_pack=self.config.face_pack, scenes_unfit=(), held=dict(self.store.counts()),
            unshipped=self.journal.size - self.journal.acknowledged, uptime_s=0)


@contextlib.contextmanager
def open_node_folder(path: Path | None) -> Iterator[NodeFolder]:
    """Open the folder of a stopped, enrolled node.

    Raises:
        OperatingError: It is running, isn't enrolled, or is damaged.
    """
    config = load_config(path, os.environ)
    if not (config.data_dir / "cache").is_dir():
        raise ConfigError(f"{config.data_dir} is no node's data folder: say --config")
    key = load_or_create_node_key(config.data_dir / "node.key")
    try:
        journal = FileJournal(
            config.data_dir / "journal", key.signing,
            JournalOptions(segment_bytes=config.journal.segment_bytes,
                           retire_age_s=config.journal.retire_days * DAY_S))
    except JournalError as error:
        raise JournalError(f"{error}: stop the node first if it is running") from error
    try:
        _, store = open_store(config)
        try:
            enrolment = load_enrolment(store)
            if enrolment is None:
                raise ConfigError("this node isn't enrolled: `kanhe bundle request`, then `join`")
            yield NodeFolder(config=config, key=key, store=store, journal=journal,
                             node_id=enrolment.node_id)
        finally:
            store.close()
    finally:
        journal.close()


async def bring_bundle(
    folder: NodeFolder, file: BinaryIO, sink: PackSink, now: Callable[[], float]
) -> Brought:
    """Check a bundle whole, believe it, and journal that.

    Raises:
        OperatingError: It was refused, and nothing changed; or couldn't be put down.
    """
    worker = Worker("kanhe-bundle")
    try:
        believer = Believer(
            store=folder.store, seal_private=folder.key.sealing, publish=_unheard, now=now,
            worker=worker, epochs_back=folder.config.keys.days_back)
        await believer.load()
        brought = await Bundle(file, folder.key.sealing).bring(
            believer, folder.journal, sink, now())
    finally:
        worker.close()
    await folder.journal.append(EventRecord(
        at_ms=int(now() * 1000), event="bundle.imported", detail={
            "issued_s": brought.issued_s, "first": brought.first, "cursor": brought.cursor,
            "acknowledged": brought.acknowledged, "packs": ", ".join(brought.packs)}))
    return brought


def _unheard(_: Trust) -> None:
    """Nobody verifies meanwhile."""
