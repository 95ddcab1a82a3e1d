"""A platform's data folder opened by a command, beside a platform that may be running.

- A refusal becomes an operating error with its words.
"""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from central.bundle import Site
from central.config import CentralConfig, load_central_config
from central.errors import Refused
from central.facts import insist_on_keys
from central.keys import PlatformKeys
from central.roots import ROOT_FILE, load_roots
from central.store import Database
from edge.errors import ConfigError, OperatingError


@contextlib.asynccontextmanager
async def open_site(path: Path | None) -> AsyncIterator[tuple[Site, CentralConfig]]:
    """Open what bundles are made from.

    Raises:
        OperatingError: There is no platform there, or the work inside was refused.
    """
    config = load_central_config(path)
    root = config.data_dir / ROOT_FILE
    if not root.is_file():
        raise ConfigError(
            f"{config.data_dir} is no platform's data folder: run this at the platform, with "
            "--config, after its first start")
    keys = PlatformKeys(config.data_dir / "keys")
    roots = load_roots(config.data_dir, keys, config.log, 0)
    database = Database(config.database_address, keys, connections=config.database_connections)
    try:
        await database.run(lambda tx: insist_on_keys(tx, roots))
        yield Site(
            database=database, keys=keys, roots=roots, log=config.log,
            node_ahead_days=config.node_ahead_days), config
    except Refused as error:
        raise OperatingError(f"refused: {error}") from error
    finally:
        await database.stop()
