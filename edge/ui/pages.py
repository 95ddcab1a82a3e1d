"""Pages: Jinja templates with everything escaped, in Chinese or English.

- A template says both texts where it needs one: `{{ t("核验", "Verify") }}`.
- The language is the visitor's choice (a cookie), else what the browser asks for, else Chinese.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone

from aiohttp import web
from jinja2 import (
    ChoiceLoader,
    Environment,
    PackageLoader,
    StrictUndefined,
    pass_context,
)
from jinja2.runtime import Context

from edge.ui.assets import Assets
from edge.ui.headers import PAGE_HEADERS
from edge.ui.names import field_name, names_of, type_name

LANGUAGE_COOKIE = "kanhe-lang"
LANGUAGE_S = 400 * 86_400
LANGUAGES = ("zh", "en")
_CHINA = timezone(timedelta(hours=8))


class Pages:
    """Renders the templates of one service, in the design of all."""

    def __init__(self, packages: Sequence[str], service: tuple[str, str]) -> None:
        """Load templates and static files.

        Args:
            packages: Whose `templates` and `static` folders are used beside those of edge.ui.
            service: What the service is called, in Chinese and English.
        """
        self.assets = Assets(("edge.ui", *packages))
        loaders = [PackageLoader(package) for package in (*packages, "edge.ui")]
        self._environment = Environment(
            loader=ChoiceLoader(loaders), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )
        self._environment.filters |= {
            "when": _when, "day": _day, "age": _age, "type_name": _type_name,
            "field_name": _field_name,
        }
        self._service = service

    def text(self, request: web.Request, template: str, values: dict[str, object]) -> str:
        """Render a template to text."""
        lang = language(request)
        context: dict[str, object] = {
            "t": _chooser(lang), "lang": lang, "names": names_of(LANGUAGES.index(lang)),
            "asset": self.assets.url, "path": request.path,
            "service": self._service[LANGUAGES.index(lang)], "session": None, "csrf": "",
            "here": request.path_qs,
        }
        return self._environment.get_template(template).render({**context, **values})

    def render(
        self, request: web.Request, template: str, *, code: int = 200, **values: object
    ) -> web.Response:
        """Render a template as a response with a status code."""
        return web.Response(
            text=self.text(request, template, values), status=code, content_type="text/html",
            headers=PAGE_HEADERS,
        )

    def routes(self) -> list[web.RouteDef]:
        """Give the routes of static files and of the language."""
        return [
            web.get("/static/{tag}/{name}", self.assets.serve),
            web.get("/language/{lang}", choose_language),
        ]


def language(request: web.Request) -> str:
    """Give the visitor's language, `zh` or `en`."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    for part in request.headers.get("Accept-Language", "").split(","):
        wanted = part.strip().lower()[:2]
        if wanted in LANGUAGES:
            return wanted
    return "zh"


async def choose_language(request: web.Request) -> web.Response:
    """`GET /language/{lang}?next=…`: keep the choice and go back."""
    chosen = request.match_info["lang"]
    response = web.Response(
        status=303, headers={**PAGE_HEADERS, "Location": local_path(request.query.get("next"))})
    if chosen in LANGUAGES:
        response.set_cookie(LANGUAGE_COOKIE, chosen, max_age=LANGUAGE_S, path="/", samesite="Lax",
                            httponly=True)
    return response


def local_path(text: str | None) -> str:
    """Give a path of this origin, `/` for anything else."""
    if text and text.startswith("/") and not text.startswith(("//", "/\\")) and (
        text.isprintable() and "\\" not in text
    ):
        return text
    return "/"


def _chooser(lang: str) -> Callable[[str, str], str]:
    return lambda zh, en: zh if lang == "zh" else en


def _when(unix_s: float | None) -> str:
    """Show a moment in China's time."""
    if unix_s is None:
        return "—"
    return datetime.fromtimestamp(unix_s, UTC).astimezone(_CHINA).strftime("%Y-%m-%d %H:%M:%S")


def _day(unix_s: float | None) -> str:
    return "—" if unix_s is None else _when(unix_s)[:10]


@pass_context
def _age(context: Context, seconds: float | None) -> str:
    """Show an age in the largest unit that says enough."""
    if seconds is None:
        return "—"
    column = _column(context)
    for size, *units in ((86_400, "天", "d"), (3_600, "小时", "h"), (60, "分", "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {units[column]}"
    return f"{int(seconds)} {('秒', 's')[column]}"


@pass_context
def _type_name(context: Context, value: str) -> str:
    return type_name(value, _column(context))


@pass_context
def _field_name(context: Context, value: str) -> str:
    return field_name(value, _column(context))


def _column(context: Context) -> int:
    return LANGUAGES.index(context["lang"])
