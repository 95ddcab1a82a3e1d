"""The button before a policy goes live: what would it have made of the last answers?"""

import asyncio

import msgspec
from aiohttp import web

from central import dryrun, policies
from central.config import CentralConfig
from central.errors import Invalid
from central.store import Transaction
from central.web.common import whole_number
from central.web.policy_form import read_filled
from central.web.record_pages import RecordPages
from central.web.site import Site
from edge.access.accounts import Role
from edge.access.sessions import Session
from edge.hotpath.dryrun import BeforePolicy, DryRun, DryRunReport
from edge.hotpath.past import MISSING_WORDS
from edge.models.operating import shelf_points
from edge.protocol.records import ScenePolicy


class DryRunPages:
    """Dry runs of a scene's draft."""

    def __init__(self, site: Site, records: RecordPages) -> None:
        """Take the frame, and the pages whose form the draft is in."""
        self._site, self._records = site, records

    def routes(self) -> list[web.RouteDef]:
        """Give the routes."""
        return [web.post("/scenes/{scene}/try",
                         self._site.page(Role.ADMINISTRATOR, self.try_scene))]

    async def try_scene(self, request: web.Request, session: Session) -> web.Response:
        """`POST /scenes/{scene}/try`: judges the last answers under the form's draft."""
        scene = request.match_info["scene"]
        fields, current, versions = await self._records.filled_in(request, session)
        try:
            filled = read_filled(fields, current)
            count = whole_number(
                fields.get("answers", ["1000"])[0], "answers", dryrun.ANSWERS_MAX)
        except Invalid as error:
            return self._records.show(
                request, session, current, versions, problem=str(error), code=422)
        draft = filled.policy
        if filled.wrong or draft is None:
            return self._records.show(
                request, session, filled.shown, versions, wrong=filled.wrong, code=422)
        report = await self._site.run(
            session, lambda tx: read_answers(tx, scene, count))
        judged = await judge(draft, report, self._site.platform.config)
        return self._records.show(
            request, session, filled.shown, versions, dryrun=judged, missing_words=MISSING_WORDS,
            changes=policies.policy_diff(
                msgspec.to_builtins(current), msgspec.to_builtins(draft)))


Answers = tuple[list[dryrun.Row], BeforePolicy]


def draft_of(current: ScenePolicy, body: dict[str, object]) -> ScenePolicy:
    """Give what a policy would be with these fields; what isn't named stays as it is.

    Raises:
        Invalid: What is wrong with it.
    """
    whole = msgspec.to_builtins(current) | body
    unknown = set(body) - {field.name for field in msgspec.structs.fields(ScenePolicy)}
    if unknown:
        raise Invalid(f"a policy has no {', '.join(sorted(unknown))}")
    try:
        return msgspec.convert(
            whole | {"scene": current.scene, "version": current.version}, ScenePolicy)
    except msgspec.ValidationError as error:
        raise Invalid(str(error)) from error


def read_answers(tx: Transaction, scene: str, count: int) -> Answers:
    """Give the last answers of a scene, and the policies that they were judged by."""
    return dryrun.last_answers(tx, scene, count), dryrun.policies_before(tx.session, scene)


async def judge(draft: ScenePolicy, answers: Answers, config: CentralConfig) -> DryRunReport:
    """Judge answers under a draft, on a thread: the database is free meanwhile."""
    rows, before = answers

    def work() -> DryRunReport:
        points = shelf_points(config.packs_folder)
        return DryRun({draft.scene: draft}, before, points).run(rows)

    return await asyncio.to_thread(work)
