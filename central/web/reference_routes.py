"""What administrators call to change the face pack: references made anew, or dropped."""

from aiohttp import web

from central import consents, reenrol
from central.reenrol import Job
from central.store import Transaction
from central.web.common import answer, platform_for_admin


async def show(request: web.Request) -> web.Response:
    """`GET /v1/references`: faces, references by pack, and how the last pass goes."""
    platform = platform_for_admin(request)

    def read(tx: Transaction) -> tuple[int, dict[str, int]]:
        return consents.count_faces(tx), reenrol.count_by_pack(tx)

    faces, packs = await platform.database.run(read)
    return answer({"faces": faces, "packs": packs, "enrols_with": platform.pack_id,
                   "job": platform.references.job})


async def make(request: web.Request) -> web.Response:
    """`POST /v1/references/{pack}/make`."""
    platform = platform_for_admin(request)
    return await _begun(request, await platform.make_references(request.match_info["pack"]))


async def drop(request: web.Request) -> web.Response:
    """`POST /v1/references/{pack}/drop`."""
    platform = platform_for_admin(request)
    return await _begun(request, platform.drop_references(request.match_info["pack"]))


async def _begun(request: web.Request, job: Job) -> web.Response:
    await platform_for_admin(request).database.run(
        lambda tx: tx.act(f"references.{job.act}", job.pack))
    return answer(job, 202)


def routes() -> list[web.RouteDef]:
    """Give the routes."""
    return [
        web.get("/v1/references", show), web.post("/v1/references/{pack}/make", make),
        web.post("/v1/references/{pack}/drop", drop),
    ]
