"""Runs the central platform: builds it, serves it, stops it."""

import asyncio
from collections.abc import Callable
from importlib.metadata import version

from aiohttp import web

from central.config import CentralConfig
from central.fleet import read_fleet
from central.metrics import CentralMetrics
from central.platform import Enroller, OpenPack, Platform
from central.web import (
    admin_routes,
    check_routes,
    lookup_routes,
    node_routes,
    reference_routes,
    snapshot_routes,
)
from central.web.common import METRICS, PLATFORM, guard_middleware
from central.web.dryrun_pages import DryRunPages
from central.web.fleet_pages import FleetPages
from central.web.holder_pages import HolderPages
from central.web.record_pages import RecordPages
from central.web.site import Site
from central.web.wallet_pages import WalletPages
from edge.access.listening import Wire, bind, serve

SHUTDOWN_S = 1.0
"""Long polls are cut; nodes come back by themselves."""
TLS_FOLDER = "tls"


async def _livez(_: web.Request) -> web.Response:
    return web.Response(text="alive\n")


async def _readyz(request: web.Request) -> web.Response:
    await request.app[PLATFORM].counters()
    return web.Response(text="ready\n")


def wire_of(config: CentralConfig, *, insecure: bool = False) -> Wire:
    """Give how the platform is reached.

    Raises:
        OperatingError: The configuration or the certificates can't be used.
    """
    return Wire(config.tls, config.host, config.data_dir / TLS_FOLDER, insecure=insecure)


def application(platform: Platform, wire: Wire | None = None) -> web.Application:
    """Build the aiohttp application of a started platform."""
    metrics = CentralMetrics(version("kanhe"))
    site = Site(platform, wire or wire_of(platform.config))

    async def scrape(_: web.Request) -> web.Response:
        page = metrics.kept()
        if page is None:
            metrics.see(await platform.database.run(read_fleet))
            page = metrics.page()
        return web.Response(body=page, content_type="text/plain", charset="utf-8")

    app = web.Application(
        middlewares=[guard_middleware(metrics, site.pages)],
        client_max_size=platform.config.body_bytes_max,
    )
    app[PLATFORM], app[METRICS] = platform, metrics
    for routes in (node_routes, admin_routes, reference_routes, snapshot_routes, lookup_routes,
                   check_routes):
        app.add_routes(routes.routes())
    app.add_routes([
        web.get("/livez", _livez), web.get("/readyz", _readyz), web.get("/metrics", scrape),
    ])
    records = RecordPages(site)
    for part in (site, HolderPages(site), FleetPages(site), records, DryRunPages(site, records),
                 WalletPages(site)):
        app.add_routes(part.routes())
    return app


async def run_central(
    config: CentralConfig, face: Enroller, ready: Callable[[str], None], stop: asyncio.Event,
    *, insecure: bool = False, open_pack: OpenPack | None = None,
) -> None:
    """Run a platform until `stop` is set; `ready` is told its address.

    Raises:
        OperatingError: It can't start.
    """
    wire = wire_of(config, insecure=insecure)
    platform = Platform(config, face, open_pack=open_pack)
    await platform.start()
    try:
        listening = bind(config.host, config.port, config.port_tries)
        await serve(application(platform, wire), listening, wire, ready=ready, stop=stop,
                    shutdown_s=SHUTDOWN_S)
    finally:
        await platform.stop()
