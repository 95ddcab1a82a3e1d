"""Opens what a node is built of, where that takes a decision.

- Who the central platform is: the configuration's word, else what enrolment kept, else nobody.
- Whether what was spent is remembered, and what the clock has to prove if it isn't.
"""

import ssl
import time

from edge.access.tls import client_context
from edge.cache.guard import LmdbReplayGuard, read_boot_id
from edge.cache.store import LmdbStore
from edge.clock import SystemClock
from edge.config import EdgeConfig
from edge.errors import ConfigError
from edge.node_key import NodeKey, load_or_create_node_key
from edge.protocol.kh1 import step_at
from edge.sync.absent import AbsentCentral
from edge.sync.client import CentralClient
from edge.sync.state import load_enrolment

STEPS_AHEAD_MAX = 2
"""Of the restart's own window, where no policy is held yet."""
META_CENTRAL_URL = "app.central_url"
META_CENTRAL_AUTHORITY = "app.central_authority"
NO_NETWORK = "none"
"""In place of the platform's address: bundles are brought by hand."""


def open_store(config: EdgeConfig) -> tuple[NodeKey, LmdbStore]:
    """Open key and store of a data folder, making them if they aren't there.

    Raises:
        OperatingError: Key file or store is damaged; the message says what to do.
    """
    key = load_or_create_node_key(config.data_dir / "node.key")
    return key, LmdbStore(config.data_dir / "cache", key.derive)


def open_central(config: EdgeConfig, store: LmdbStore) -> CentralClient | AbsentCentral:
    """Give the way to the central platform, or its absence.

    Raises:
        ConfigError: The node isn't enrolled, or the platform's authority can't be read.
    """
    enrolment = load_enrolment(store)
    url = config.central.url or (store.meta(META_CENTRAL_URL) or b"").decode()
    if enrolment is None or not url:
        raise ConfigError(
            f"this node isn't enrolled: run `kanhe edge enrol --url … --code …` for the data "
            f"folder {config.data_dir}; without a network, `kanhe bundle request`"
        )
    if url == NO_NETWORK:
        return AbsentCentral()
    return CentralClient(url, token=enrolment.token, tls=_central_tls(config, store, url))


def open_guard(
    config: EdgeConfig, key: NodeKey, store: LmdbStore, clock: SystemClock, journal_size: int
) -> LmdbReplayGuard:
    """Open the guard; a node whose journal is empty has nothing spent yet.

    Without its memory every step is refused up to the restart's window, counted from the highest
    time ever seen, and nothing is judged before the clock is vouched for.
    """
    ahead = max([STEPS_AHEAD_MAX, *(p.steps_ahead for p in store.policies().values())])
    now = max(time.time(), clock.highest_s)
    guard = LmdbReplayGuard(
        config.data_dir / "guard", key.derive, boot_id=read_boot_id(),
        restart_floor=step_at(now) + ahead if journal_size else 0,
    )
    if guard.forgot:
        clock.recover()
        clock.keep()
    return guard


def _central_tls(config: EdgeConfig, store: LmdbStore, url: str) -> ssl.SSLContext | None:
    """Whom to believe at the central platform: its own authority, or the system's roots."""
    if not url.startswith("https:"):
        return None
    path = config.central.authority
    try:
        pem = path.read_bytes() if path else store.meta(META_CENTRAL_AUTHORITY)
    except OSError as error:
        raise ConfigError(f"central.authority: {path}: {error.strerror}") from error
    return client_context(pem)
