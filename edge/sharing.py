"""What a node shares with the other nodes of its site, as configured.

- Nothing is loaded, let alone connected, where no Redis is configured.
- Not here: how it is shared (edge.cache.site).
"""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edge.cache.guard import MappedReplayGuard
from edge.cache.site.place import PASSWORD_VARIABLE, SENTINEL_VARIABLE, LinkOptions
from edge.clock import SystemClock
from edge.config import EdgeConfig
from edge.errors import ConfigError
from edge.hotpath.trust import Trust
from edge.node_key import read_secret
from edge.parts import STEPS_AHEAD_MAX
from edge.protocol.kh1 import step_at
from edge.sync.follower import Follower

if TYPE_CHECKING:  # redis-py is only loaded where it is used
    from edge.cache.site.site import Site


def open_site(
    config: EdgeConfig, clock: SystemClock, guard: MappedReplayGuard, follower: Follower,
    trust: Callable[[], Trust],
) -> "Site | None":
    """Give the guard what the site's nodes share, if they do; nothing is connected yet.

    Raises:
        OperatingError: Address, key or password file can't be used; the message says what to do.
    """
    redis = config.redis
    if not redis.url:
        return None
    if redis.key_file is None:
        raise ConfigError("redis.url needs redis.key_file, the site's key: make it with kanhe edge "
                          "site-key FILE, and copy it to the site's other nodes")
    from edge.cache.site.memory import MemoryOptions
    from edge.cache.site.site import Site, SiteOptions

    def window() -> tuple[int, int]:
        policies = trust().policies.values()
        return (max((p.steps_back for p in policies), default=1),
                max([STEPS_AHEAD_MAX, *(p.steps_ahead for p in policies)]))

    link = LinkOptions(
        url=redis.url, username=redis.username, authority=redis.authority,
        password=_password(redis.password_file, PASSWORD_VARIABLE),
        sentinel_password=_password(redis.sentinel_password_file, SENTINEL_VARIABLE))
    memory = MemoryOptions(
        deadline_s=redis.deadline_ms / 1e3, now_step=lambda: step_at(clock.now_s()),
        clock_believed=lambda: clock.state != "untrusted", window=window, recent=guard.recent)
    site = Site(
        read_secret(redis.key_file, "copy it anew from another node of the site"),
        SiteOptions(
            link=link, memory=memory, prefix=redis.prefix,
            answers_kept_s=math.ceil(config.journal.answers_kept_s),
            cursor=lambda: follower.believer.mark.cursor, wake=follower.wake))
    guard.site = site.memory
    return site


def _password(path: Path | None, variable: str) -> str:
    if path is None:
        return os.environ.get(variable, "")
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can't be read as a password: {type(error).__name__}") from error
