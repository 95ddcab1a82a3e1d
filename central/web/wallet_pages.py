"""The wallet: an installable page that makes the holder's codes, also without a network.

- The shell and its files are cached by a service worker under the name of their set; keys come over
  `/v1/wallet` and stay in the browser's own store.
- The page needs no sign-in: a holder pairs it once by a one-time code.
"""

from importlib.resources import files

import msgspec
from aiohttp import web

from central.web.site import Site
from edge.ui.headers import PAGE_HEADERS
from edge.ui.pages import language

FILES = (
    "kanhe.css", "wallet.css", "words.js", "wallet.js", "keys.js", "code.js", "qr.js",
    "vault.js", "icon.svg",
)


class WalletPages:
    """Serves `/wallet/`."""

    def __init__(self, site: Site) -> None:
        """Take the frame."""
        self._pages = site.pages
        self._worker = files("central.web").joinpath("wallet-worker.js").read_text("utf-8")

    def routes(self) -> list[web.RouteDef]:
        """Give the routes."""
        return [
            web.get("/wallet", self.lead), web.get("/wallet/", self.shell),
            web.get("/wallet/worker.js", self.worker),
            web.get("/wallet/app.webmanifest", self.manifest),
        ]

    async def lead(self, _: web.Request) -> web.Response:
        """`GET /wallet`."""
        return web.Response(status=308, headers={**PAGE_HEADERS, "Location": "/wallet/"})

    async def shell(self, request: web.Request) -> web.Response:
        """`GET /wallet/`."""
        return self._pages.render(request, "wallet.html")

    async def worker(self, request: web.Request) -> web.Response:
        """`GET /wallet/worker.js`: names exactly the files of this version."""
        assets = self._pages.assets
        kept = ["/wallet/", "/wallet/app.webmanifest", *(assets.url(name) for name in FILES)]
        # Another language is another shell, so it is another version too.
        version = f"{assets.tag}-{language(request)}"
        head = f"const VERSION = {_js(version)};\nconst FILES = {_js(kept)};\n"
        return web.Response(
            text=head + self._worker, content_type="text/javascript",
            headers={**PAGE_HEADERS, "Cache-Control": "no-cache"})

    async def manifest(self, request: web.Request) -> web.Response:
        """`GET /wallet/app.webmanifest`."""
        chinese = language(request) == "zh"
        body = {
            "name": "勘合钱包" if chinese else "Kanhe wallet", "short_name": "勘合",
            "start_url": "/wallet/", "scope": "/wallet/", "display": "standalone",
            "background_color": "#f3f5f8", "theme_color": "#14385c",
            "icons": [{"src": self._pages.assets.url("icon.svg"), "sizes": "any",
                       "type": "image/svg+xml", "purpose": "any"}],
        }
        return web.Response(
            body=msgspec.json.encode(body), content_type="application/manifest+json",
            headers={**PAGE_HEADERS, "Cache-Control": "no-cache"})


def _js(value: object) -> str:
    return msgspec.json.encode(value).decode()
