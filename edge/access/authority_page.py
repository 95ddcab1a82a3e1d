"""The page from which devices install a service's local authority."""

from aiohttp import web

from edge.access.tls import LocalAuthority
from edge.ui.headers import PAGE_HEADERS
from edge.ui.pages import Pages
from edge.ui.qr import draw_qr


class AuthorityPage:
    """Serves `/authority`, `/authority.crt` and `/authority.pem`."""

    def __init__(self, pages: Pages, authority: LocalAuthority | None) -> None:
        """Take the authority, None where there is none."""
        self._pages, self._authority = pages, authority

    def routes(self) -> list[web.RouteDef]:
        """Give the routes."""
        return [
            web.get("/authority", self.page),
            web.get("/authority.crt", self.download), web.get("/authority.pem", self.download),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """`GET /authority`."""
        address = f"{request.scheme}://{request.host}/authority"
        pin = self._authority.pin if self._authority else ""
        return self._pages.render(
            request, "authority.html", pin=pin, address=address, qr=draw_qr(address))

    async def download(self, request: web.Request) -> web.Response:
        """`GET /authority.crt` (DER) and `GET /authority.pem`."""
        if self._authority is None:
            raise web.HTTPNotFound
        der = request.path.endswith(".crt")
        return web.Response(
            body=self._authority.der if der else self._authority.pem, headers=PAGE_HEADERS,
            content_type="application/x-x509-ca-cert" if der else "application/x-pem-file")
