"""What administrators ask the platform to judge: a code now, and past answers under new rules."""

import msgspec
from aiohttp import web

from central.cards import role_key
from central.checking import Checked, check_code
from central.dryrun import ANSWERS_MAX
from central.policies import get_policy
from central.store import Transaction
from central.web.common import answer, number, platform_for_admin, read_json
from central.web.dryrun_pages import draft_of, judge, read_answers
from edge.protocol.feed import ROLE_CARDS
from edge.protocol.kh1 import TEXT_CHARS_MAX


class _Code(msgspec.Struct, forbid_unknown_fields=True):
    scene: str
    presentation: str


async def check(request: web.Request) -> web.Response:
    """`POST /v1/checks`: what the platform says of a code in a scene; spends nothing."""
    platform = platform_for_admin(request)
    asked = await read_json(request, _Code)
    key = role_key(platform.keys, platform.root, ROLE_CARDS)
    believed = () if key is None else (key.public_key(),)

    def work(tx: Transaction) -> Checked:
        found = check_code(
            tx, asked.scene, asked.presentation[:TEXT_CHARS_MAX + 1], log=platform.config.log,
            card_keys=believed, now=platform.now())
        tx.act("code.checked", asked.scene, found.reason)
        return found

    return answer(await platform.database.run(work))


async def dry_run(request: web.Request) -> web.Response:
    """`POST /v1/policies/{scene}/dry-run?answers=N`: the last answers under a draft policy."""
    platform, scene = platform_for_admin(request), request.match_info["scene"]
    body = await read_json(request, dict[str, object])
    count = number(request, "answers", 1_000, ANSWERS_MAX)
    current, answers = await platform.database.run(lambda tx: (
        get_policy(tx, scene), read_answers(tx, scene, count)))
    return answer(await judge(draft_of(current, body), answers, platform.config))


def routes() -> list[web.RouteDef]:
    """Give the routes."""
    return [web.post("/v1/checks", check), web.post("/v1/policies/{scene}/dry-run", dry_run)]
