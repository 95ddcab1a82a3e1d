"""Static files of the pages, held in memory and served under a name that changes with them.

- `/static/<tag>/<name>`: the tag is a digest of the whole set, so that files which name each
  other change together and browsers may keep them for good.
"""

import hashlib
from collections.abc import Sequence
from importlib.resources import files

from aiohttp import web

from edge.ui.headers import PAGE_HEADERS

TAG_CHARS = 12
_TYPES = {
    ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
_FOR_GOOD = "public, max-age=31536000, immutable"


class Assets:
    """The static files of some packages; a later one's file hides an earlier one's."""

    def __init__(self, packages: Sequence[str]) -> None:
        """Read every file of the packages' `static` folders."""
        self._files: dict[str, tuple[bytes, str]] = {}
        for package in packages:
            folder = files(package).joinpath("static")
            for item in folder.iterdir() if folder.is_dir() else ():
                suffix = "." + item.name.rpartition(".")[2]
                if suffix in _TYPES:
                    self._files[item.name] = (item.read_bytes(), _TYPES[suffix])
        whole = hashlib.sha256()
        for name in sorted(self._files):
            whole.update(name.encode() + b"\0" + self._files[name][0])
        self.tag = whole.hexdigest()[:TAG_CHARS]

    @property
    def names(self) -> list[str]:
        """Names of all files."""
        return sorted(self._files)

    def url(self, name: str) -> str:
        """Give the address of a file, which must be there."""
        assert name in self._files, name
        return f"/static/{self.tag}/{name}"

    async def serve(self, request: web.Request) -> web.Response:
        """`GET /static/{tag}/{name}`."""
        found = self._files.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        headers = dict(PAGE_HEADERS)
        if request.match_info["tag"] == self.tag:
            headers["Cache-Control"] = _FOR_GOOD
        return web.Response(body=found[0], content_type=found[1], charset="utf-8",
                            headers=headers)
