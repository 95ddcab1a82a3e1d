"""What a browser is shown when a page can't be: the form to sign in, or words."""

from urllib.parse import quote

from aiohttp import web

from edge.access.signin import AccessRefused, SignInNeeded
from edge.ui.headers import PAGE_HEADERS
from edge.ui.pages import Pages, language

_WORDS = {
    403: (("不允许", "Not allowed"), ("您的角色不能这样做，或页面已过期：请重新打开。",
                                 "Your role doesn't allow this, or the page is out of date: "
                                 "open it again.")),
    404: (("没有这个页面", "Nothing here"), ("地址不对，或内容已不存在。",
                                        "The address is wrong, or what it named is gone.")),
    413: (("内容太大", "Too large"),
          ("发送的内容超过了上限。", "What was sent is over the bound.")),
}
_OTHER = (("出错了", "Something failed"),
          ("请稍后再试；原因在服务日志里。",
           "Try again in a moment; the cause is in the service's log."))


def is_page(request: web.Request) -> bool:
    """Tell whether a browser asks for a page, rather than a program for an answer."""
    return not request.path.startswith("/v1/") and "text/html" in request.headers.get("Accept", "")


def page_error(pages: Pages, request: web.Request, error: Exception) -> web.Response:
    """Give the page that a browser is shown instead; never the error's own words."""
    if isinstance(error, SignInNeeded):
        here = request.path_qs if request.method == "GET" else "/"
        return web.Response(status=303, headers={
            **PAGE_HEADERS, "Location": f"/signin?next={quote(here, safe='/')}"})
    status = 500
    if isinstance(error, AccessRefused):
        status = 403
    elif isinstance(error, web.HTTPException):
        status = error.status
    (heading_zh, heading_en), (zh, en) = _WORDS.get(status, _OTHER)
    chinese = language(request) == "zh"
    return pages.render(
        request, "words.html", code=status, heading=heading_zh if chinese else heading_en,
        words=zh if chinese else en, ways=[("/", "← 勘合 Kanhe")])
