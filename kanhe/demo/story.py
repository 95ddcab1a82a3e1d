"""The demo's story: what is tried at the counter, and what has to come of it.

- Every row is a call to the node over HTTP with pictures that a camera would have taken.
- A capture is the enrolment photograph rescaled, shifted, relit and recompressed, for the
  packages carry one picture a person: such rows say "same photograph".
"""

import asyncio
import time
from typing import Any

import aiohttp
import orjson

from edge.protocol.kh1 import SUITE_COMPACT, SUITE_COMPACT_NATIONAL, SUITE_SEALED, step_at
from edge.protocol.steps import STEP_S
from kanhe.demo.city import City
from kanhe.demo.frames import HARD, USUAL, Conditions, face_frame, faces_frame, phone_frame
from kanhe.demo.people import PEOPLE, Person, load_portrait
from kanhe.demo.table import Row, Table

SAME = "same photograph"
CALL_S_MAX = 30.0
REFUSED_WITHIN_S = 5.0
OFFLINE_WITHIN_S = 30.0
STEP_MARGIN_S = 0.6
"""A code isn't drawn in the last moments of its step, so that a slow machine is in time too."""

Answer = dict[str, Any]


class Story:
    """Plays all attempts and fills the table."""

    def __init__(self, city: City, table: Table, session: aiohttp.ClientSession) -> None:
        """Play in `city`; rows go to `table`."""
        self._city, self._table, self._session = city, table, session
        self._number = 0
        self._people = {person.key: person for person in PEOPLE}
        self._shown: dict[tuple[str, str], int] = {}

    async def play(self) -> None:
        """Play everything, in order."""
        await self._genuine_holders()
        await self._codes_that_are_refused()
        await self._faces()
        await self._credentials_that_are_refused()
        await self._central_platform_down()

    async def _genuine_holders(self) -> None:
        accept = ("accept", "ok")
        for person, conditions in zip(PEOPLE, (USUAL, HARD, USUAL, HARD, USUAL), strict=True):
            code = await self._live(person.key)
            await self._try(f"phone + {person.key}, {SAME}", "genuine holder checks in", accept,
                            code=code, conditions=conditions, faces=[self._capture(person)])
        for suite, name in ((SUITE_COMPACT_NATIONAL, "SM3/SM4"), (SUITE_SEALED, "sealed")):
            code = await self._live("lin", "driving_licence", suite)
            await self._try("phone", f"driver at the roadside, {name} code", accept,
                            code=code, scene="police.roadside")

    async def _codes_that_are_refused(self) -> None:
        code, face = await self._live("ma"), self._capture(self._people["ma"])
        await self._try(f"phone + ma, {SAME}", "genuine holder again, next code", ("accept", "ok"),
                        code=code, faces=[face])
        await self._try(f"phone + ma, {SAME}", "the same code again",
                        ("reject", "presentation_replayed"), code=code, faces=[face])
        late = self._city.wallets["shi"].code("resident_id", step_at(time.time()) - 12)
        await self._try(f"phone + shi, {SAME}", "a screenshot shown a minute later",
                        ("retry", "step_expired"), code=late,
                        faces=[self._capture(self._people["shi"])])
        live = await self._live("shi")
        altered = live[:-3] + ("000" if live[-3:] != "000" else "100")
        await self._try("phone", "an altered code", ("reject", "mac_mismatch"), code=altered)

    async def _faces(self) -> None:
        people = self._people
        await self._try(f"phone of shi + bao, {SAME}", "somebody else's face",
                        ("reject", "no_match"), code=await self._live("shi"),
                        faces=[self._capture(people["bao"])])
        first = await self._try("phone of fang, no face", "no face yet", ("retry", "face_absent"),
                                code=await self._live("fang"))
        await self._try(f"fang, {SAME}", "…then the face as a capture", ("accept", "ok"),
                        capture_of=first["verification_id"],
                        faces=[self._capture(people["fang"])])
        portraits = [load_portrait(people[key]) for key in ("bao", "shi")]
        await self._try("phone of bao + bao and shi", "two faces before the camera",
                        ("retry", "face_multiple"), code=await self._live("bao"),
                        faces=[faces_frame(portraits, seed=77)])

    async def _credentials_that_are_refused(self) -> None:
        await self._try("phone of bao", "a driving licence at the hotel",
                        ("reject", "credential_not_accepted_here"),
                        code=await self._live("bao", "driving_licence"))
        for key, status in (("ma", "suspended"), ("shi", "revoked")):
            await self._city.set_status(key, "driving_licence", status)
            start = time.monotonic()
            await self._until(f"credential_{status}", key)
            took = time.monotonic() - start
            await self._try(f"phone of {key}", f"{status} {took * 1e3:.0f} ms ago",
                            ("reject", f"credential_{status}"), scene="office.gatehouse",
                            code=await self._live(key, "driving_licence"))

    async def _central_platform_down(self) -> None:
        assert self._city.central is not None
        self._city.central.stop()
        start = time.monotonic()
        while await self._mode() != "offline":
            if time.monotonic() - start > OFFLINE_WITHIN_S:
                break
            await asyncio.sleep(0.2)
        person = self._people["lin"]
        answer = await self._try(f"phone + lin, {SAME}", "central platform down",
                                 ("accept", "ok"), code=await self._live("lin"),
                                 faces=[self._capture(person)])
        self._expect("the answer says so", ("accept", "offline"),
                     (answer["decision"], answer["evidence"]["mode"]))
        await self._city.start_central()
        start = time.monotonic()
        while await self._mode() != "online" and time.monotonic() - start < OFFLINE_WITHIN_S:
            await asyncio.sleep(0.2)
        answer = await self._try(f"phone + lin, {SAME}", "central platform back",
                                 ("accept", "ok"), code=await self._live("lin"),
                                 faces=[self._capture(person)])
        self._expect("the answer says so", ("accept", "online"),
                     (answer["decision"], answer["evidence"]["mode"]))

    def _capture(self, person: Person) -> bytes:
        self._number += 1
        return face_frame(load_portrait(person), seed=self._number)

    async def _live(
        self, key: str, type_: str = "resident_id", suite: int = SUITE_COMPACT
    ) -> str:
        """Give the code that a phone shows now, one that it hasn't shown before."""
        shown = self._shown.get((key, type_), 0)
        while True:
            now = time.time()
            step = step_at(now)
            left = (step + 1) * STEP_S - now
            if step > shown and left > STEP_MARGIN_S:
                self._shown[key, type_] = step
                return self._city.wallets[key].code(type_, step, suite)
            await asyncio.sleep(left + 0.01)

    async def _try(
        self,
        frame: str,
        tried: str,
        expected: tuple[str, str],
        *,
        scene: str = "hotel.checkin",
        code: str = "",
        conditions: Conditions = USUAL,
        faces: list[bytes] | None = None,
        capture_of: str = "",
    ) -> Answer:
        """Make one call with pictures and put its row into the table."""
        self._number += 1
        form = aiohttp.FormData()
        form.add_field("request_id", f"demo-{time.time_ns()}")
        if not capture_of:
            form.add_field("scene", scene)
            picture = phone_frame(code, seed=self._number, conditions=conditions)
            form.add_field("code_image", picture, filename="code.jpg", content_type="image/jpeg")
        for face in faces or []:
            form.add_field("face_image", face, filename="face.jpg", content_type="image/jpeg")
        path = f"/v1/verifications/{capture_of}/captures" if capture_of else "/v1/verifications"
        start = time.perf_counter()
        async with self._session.post(self._city.node_url + path, data=form) as response:
            answer: Answer = orjson.loads(await response.read())
            total_ms = (time.perf_counter() - start) * 1e3
            stages = _stages(response.headers.get("Server-Timing", ""))
        got = (answer.get("decision", f"HTTP {response.status}"),
               answer.get("reason", str(answer.get("detail", ""))))
        self._table.add(Row(frame=frame, tried=tried, expected=expected, got=got,
                            total_ms=total_ms, stages_ms=stages))
        return answer

    def _expect(self, tried: str, expected: tuple[str, str], got: tuple[str, str]) -> None:
        self._table.add(Row(frame="", tried=tried, expected=expected, got=got, total_ms=0.0,
                            stages_ms={}))

    async def _until(self, reason: str, key: str) -> None:
        """Ask with codes as text until that is the reason, or the time is up."""
        deadline = time.monotonic() + REFUSED_WITHIN_S
        while time.monotonic() < deadline:
            step = step_at(time.time())
            body = {"scene": "office.gatehouse", "request_id": f"demo-{time.time_ns()}",
                    "presentation": self._city.wallets[key].code("driving_licence", step)}
            url = self._city.node_url + "/v1/verifications"
            async with self._session.post(url, data=orjson.dumps(body),
                                          headers={"Content-Type": "application/json"}) as answer:
                if orjson.loads(await answer.read())["reason"] == reason:
                    return

    async def _mode(self) -> str:
        async with self._session.get(self._city.node_url + "/v1/status") as response:
            return str(orjson.loads(await response.read())["mode"])


def _stages(header: str) -> dict[str, float]:
    """Read `Server-Timing`."""
    pairs = (item.partition(";dur=") for item in header.split(", ") if item)
    return {name: float(ms) for name, _, ms in pairs}
