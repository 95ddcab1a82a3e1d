"""`rss`: memory of a running node of a small site with the default pack, RssAnon.

- After it is ready, and after each of the site's holders was verified by code and face once.
"""

import asyncio
import time

import aiohttp

from bench.harness import Result
from bench.harness_node import rss_anon_mib, with_city
from edge.protocol.kh1 import step_at
from kanhe.demo.city import City
from kanhe.demo.frames import face_frame
from kanhe.demo.people import PEOPLE, load_portrait

NAME = "rss"
AGAINST = "absolute: at most 350 MiB"
SETTLE_S = 2.0


def run(small: bool) -> Result:
    """Measure one node."""
    return with_city(lambda city: asyncio.run(_run(city, 1 if small else len(PEOPLE))))


async def _run(city: City, people: int) -> Result:
    assert city.node is not None
    city.node.stop()
    city.run_node()
    await asyncio.sleep(SETTLE_S)
    ready = rss_anon_mib(city.node.pid)
    decisions = [await _verify(city, number) for number in range(people)]
    used = rss_anon_mib(city.node.pid)
    accepted = decisions.count("accept")
    return Result(
        measure=NAME, ours=round(used), theirs=None, unit="MiB", ratio=None, against=AGAINST,
        n=people, settings={"ready": round(ready), "accepted": accepted, "pack": "dlib-v1",
                            "face_threads": 2},
        valid=accepted == people, why="" if accepted == people else f"answers: {decisions}",
    )


async def _verify(city: City, number: int) -> str:
    person = PEOPLE[number]
    code = city.wallets[person.key].code("resident_id", step_at(time.time()))
    form = aiohttp.FormData(default_to_multipart=True)
    for name, value in (("scene", "hotel.checkin"), ("request_id", f"rss{number}"),
                        ("presentation", code)):
        form.add_field(name, value)
    form.add_field("face_image", face_frame(load_portrait(person), seed=number), filename="f.jpg")
    headers = {"Authorization": f"Bearer {city.gate_credential}"}
    async with (aiohttp.ClientSession(headers=headers) as session,
                session.post(city.node_url + "/v1/verifications", data=form) as response):
        return str((await response.json()).get("decision", response.status))
