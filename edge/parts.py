"""The node's parts that live in its data folder, and its way to the platform, as configured.

- Each function opens one part or says what is wrong and what to do.
- Not here: how they are wired together (edge.app).
"""

import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edge.access.tls import client_context
from edge.audit.journal import FileJournal, JournalOptions
from edge.bootstrap import SnapshotBuilder
from edge.cache.guard import MappedReplayGuard, read_boot_id
from edge.cache.selective import SelectiveStore
from edge.clock import SystemClock
from edge.config import EdgeConfig, TracingConfig
from edge.errors import ConfigError
from edge.faces import pack_to_serve
from edge.holding import Holding
from edge.hotpath.merkle import hash_leaf
from edge.hotpath.trust import Trust
from edge.imaging import ImageLimits
from edge.metrics import NodeMetrics
from edge.models.convert import PACK_ID, Progress, ensure_default_pack
from edge.models.engine import FaceEngine
from edge.models.shelf import find_pack
from edge.node_key import NodeKey, load_or_create_node_key
from edge.pipeline.arrivals import Arrivals
from edge.pipeline.demand import Demand
from edge.protocol.journal import Receipt, VerificationRecord, decode_record
from edge.protocol.kh1 import step_at
from edge.sync.absent import AbsentCentral
from edge.sync.client import CentralClient
from edge.sync.follower import Follower
from edge.sync.identity import Identity
from edge.sync.lookup import Lookups
from edge.sync.state import load_enrolment
from edge.vigil import Note

if TYPE_CHECKING:  # OpenTelemetry is only loaded where it is used
    from edge.tracing import Tracing

META_CENTRAL_URL = "app.central_url"
META_CENTRAL_AUTHORITY = "app.central_authority"
NO_NETWORK = "none"
"""In place of the platform's address: bundles are brought by hand."""
STEPS_AHEAD_MAX = 2
"""Of the restart's own window, where no policy is held yet."""
EVENTS_MAX = 64
"""A journal that is longer isn't searched for a first verdict."""


def open_store(config: EdgeConfig) -> tuple[NodeKey, SelectiveStore]:
    """Open key and store of a data folder, making them if they aren't there.

    Raises:
        OperatingError: Key file or store is damaged; the message says what to do.
    """
    key = load_or_create_node_key(config.data_dir / "node.key")
    return key, SelectiveStore(config.data_dir / "cache", key.derive)


def open_central(
    config: EdgeConfig, store: SelectiveStore, key: NodeKey
) -> tuple[CentralClient | AbsentCentral, Identity | None]:
    """Open the way to the central platform of an enrolled node, or its absence, and who it is.

    Raises:
        ConfigError: The node isn't enrolled, or the authority can't be read.
    """
    enrolment, url = load_enrolment(store), _central_url(config, store)
    if enrolment is None or not url:
        raise ConfigError(
            f"this node isn't enrolled: run `kanhe edge enrol --url … --code …` for the data "
            f"folder {config.data_dir}; without a network, `kanhe bundle request`"
        )
    if url == NO_NETWORK:
        return AbsentCentral(), None
    client = CentralClient(url, token=enrolment.token, tls=_central_tls(config, store, url))
    return client, Identity(client, enrolment, key.signing, key.sealing)


def open_builder(
    config: EdgeConfig, key: NodeKey, store: SelectiveStore
) -> SnapshotBuilder | None:
    """Prepare what takes snapshots in, for an enrolled node; None where there is no network.

    Raises:
        ConfigError: The authority can't be read.
    """
    url = _central_url(config, store)
    if url == NO_NETWORK:
        return None

    def token() -> str:
        enrolment = load_enrolment(store)
        assert enrolment is not None, "an enrolled node stays enrolled"
        return enrolment.token

    return SnapshotBuilder(
        url=url, token=token, authority=_authority(config, store),
        key=key, store=store, folder=config.data_dir / "bootstrap",
        regions=store.regions)


class Asking(NamedTuple):
    """What brings credentials that the feed doesn't; without `demand` nobody asks at a code."""

    holding: Holding
    demand: Demand | None
    arrivals: Arrivals
    lookups: Lookups | None

    async def stop(self) -> None:
        """End what is under way."""
        if self.demand is not None:
            await self.demand.stop()
        await self.holding.stop()


def open_asking(
    config: EdgeConfig, client: CentralClient | AbsentCentral, follower: Follower,
    store: SelectiveStore, clock: SystemClock, trust: Callable[[], Trust], metrics: NodeMetrics,
    note: Note,
) -> Asking:
    """Prepare what asks for credentials that aren't held, and what lets go of them."""
    lookups = None
    if not isinstance(client, AbsentCentral):
        lookups = Lookups(client, follower.believer, time.time)
    holding = Holding(
        config=config.holding, store=store, believer=follower.believer, lookups=lookups,
        clock=clock, trust=trust, count=metrics.lapsed)
    arrivals = Arrivals(
        trust=trust, lookups=lookups, into=holding, note=note, count=metrics.expected,
        monotonic=time.monotonic, per_hour=config.holding.arrivals_per_hour)
    demand = None
    if config.central.lookup_ms and lookups is not None:
        demand = Demand(
            held=store.credential, lookups=lookups, into=holding, trust=trust,
            deadline_s=config.central.lookup_ms / 1_000, count=metrics.looked_up)
    return Asking(holding, demand, arrivals, lookups)


def _central_url(config: EdgeConfig, store: SelectiveStore) -> str:
    return config.central.url or (store.meta(META_CENTRAL_URL) or b"").decode()


def _central_tls(config: EdgeConfig, store: SelectiveStore, url: str) -> ssl.SSLContext | None:
    """Whom to believe at the central platform: its own authority, or the system's roots."""
    if not url.startswith("https:"):
        return None
    return client_context(_authority(config, store))


def _authority(config: EdgeConfig, store: SelectiveStore) -> bytes | None:
    path = config.central.authority
    try:
        return path.read_bytes() if path else store.meta(META_CENTRAL_AUTHORITY)
    except OSError as error:
        raise ConfigError(f"central.authority: {path}: {error.strerror}") from error


def open_face(
    config: EdgeConfig, store: SelectiveStore, progress: Progress
) -> tuple[Path, FaceEngine]:
    """Open the face pack to serve with, making the default one if it isn't there; and its folder.

    Raises:
        PackError: There is no such pack, or it is damaged.
    """
    pack = pack_to_serve(config.face_pack, config.face_pack_previous, store.references_held)
    if pack == PACK_ID:
        ensure_default_pack(config.packs_folder, progress)
    folder = find_pack(config.packs_folder, pack)
    pad = find_pack(config.packs_folder, config.pad_pack) if config.pad_pack else None
    return folder, FaceEngine(folder, image_limits_of(config), pad_folder=pad)


def image_limits_of(config: EdgeConfig) -> ImageLimits:
    """Give the bounds of an image."""
    return ImageLimits(
        bytes_max=config.limits.image_bytes_max, pixels_max=config.limits.image_pixels_max)


def open_journal(config: EdgeConfig, key: NodeKey) -> FileJournal:
    """Open the journal.

    Raises:
        JournalError: It is damaged or can't be written.
    """
    bounds = config.journal
    options = JournalOptions(
        segment_bytes=bounds.segment_bytes, retire_age_s=bounds.retire_days * 86_400,
        checkpoint_age_s=bounds.checkpoint_s, disk_bytes_max=bounds.disk_bytes_max,
        disk_reserve_bytes=bounds.disk_reserve_bytes)
    return FileJournal(
        config.data_dir / "journal", key.signing, options, boot_id=read_boot_id())


def open_guard(
    config: EdgeConfig, key: NodeKey, store: SelectiveStore, journal: FileJournal,
    clock: SystemClock,
) -> MappedReplayGuard:
    """Open the replay guard; a node that never judged has nothing spent yet.

    Without its memory every step is refused up to the restart's window, counted from the highest
    time ever believed, and nothing is judged before the clock is vouched for.

    Raises:
        StoreError: It can't be opened.
    """
    ahead = max([STEPS_AHEAD_MAX, *(p.steps_ahead for p in store.policies().values())])
    floor = step_at(max(time.time(), clock.highest_s)) + ahead if judged_before(journal) else 0
    guard = MappedReplayGuard(
        config.data_dir / "guard", key.derive, boot_id=read_boot_id(), restart_floor=floor)
    if guard.forgot:
        clock.recover()
        clock.keep()
    return guard


def recent_answers(
    journal: FileJournal, since_s: float
) -> Iterator[tuple[VerificationRecord, Receipt]]:
    """Give the answers that were journalled since a time (Unix seconds), and some before it."""
    for index, data in journal.recent(journal.first_since(since_s)):
        record = decode_record(data)
        if isinstance(record, VerificationRecord):
            yield record, Receipt(journal.log, index, hash_leaf(data).hex())


def judged_before(journal: FileJournal) -> bool:
    """Say whether anything was ever judged, as far as a short journal tells; else yes."""
    if journal.size > EVENTS_MAX:
        return True
    return any(isinstance(decode_record(data), VerificationRecord)
               for _, data in journal.recent(0))


def open_tracing(config: TracingConfig, version: str, instance: str) -> "Tracing | None":
    """Begin to send traces where that is switched on; nothing of it is loaded otherwise.

    Raises:
        ConfigError: What it needs isn't installed.
    """
    if not config.otlp_endpoint:
        return None
    try:
        from edge.tracing import Tracing
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"tracing.otlp_endpoint: {error.name} isn't installed: install kanhe[tracing]"
        ) from error
    return Tracing(
        config.otlp_endpoint, ratio=config.ratio, per_s_max=config.traces_max_per_s,
        waiting_max=config.waiting_spans_max, timeout_s=config.batch_s_max, version=version,
        instance=instance)
