"""A real Chromium before a real city: the demo's platform and node as processes of their own."""

import asyncio
import shutil
import time
from contextlib import asynccontextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import pytest_asyncio
import simplejpeg

from edge.protocol.kh1 import step_at
from kanhe.demo.frames import FRAME_SIZE, face_frame, phone_frame
from kanhe.demo.people import PEOPLE, load_portrait
from tests.browser.holder import camera
from tests.fakes.running_city import FarCity, running_city

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
                None)
PASSWORD = "a long enough password"
PEOPLE_BY_KEY = {person.key: person for person in PEOPLE}
CHALLENGE_OPEN_S = 5
CLINIC = {
    "clinic.desk": {"challenge_actions": 1},
    "clinic.vault": {"challenge_actions": 2},
    "clinic.door": {"challenge_actions": 1, "challenge_open_s": CHALLENGE_OPEN_S},
}
FPS = 30
"""Chromium plays an MJPEG file as its fake camera at this rate, over and over."""


class Stage:
    """The city, and browsers that look at it."""

    def __init__(self, city: FarCity, playwright, folder: Path) -> None:
        self.city, self._playwright, self._folder = city, playwright, folder
        self._shared = None
        self._heads: dict[str, list[bytes]] = {}

    @property
    def node(self) -> str:
        return self.city.node_url

    @property
    def central(self) -> str:
        return self.city.central_url

    def film(self, *scenes: tuple[str, str, float]) -> Path:
        """Make the fake camera's film of ("code" or "face", person, seconds), live from now on."""
        path = self._folder / "camera.mjpeg"
        at = time.time() + 0.8  # until the page opens the camera
        with path.open("wb") as film:
            for kind, key, seconds in scenes:
                person = PEOPLE_BY_KEY.get(key)
                for index in range(int(seconds * FPS)):
                    step = step_at(at + index / FPS)
                    if kind == "code":
                        film.write(self._phone(key, step))
                    else:
                        film.write(self._swaying(person)[index % FPS])
                at += seconds
        return path

    def _swaying(self, person) -> list[bytes]:
        """Give a second of a head that sways: the node takes a still film for what it is."""
        if person.key not in self._heads:
            still = simplejpeg.decode_jpeg(face_frame(load_portrait(person), seed=3))
            turns = np.linspace(0, 2 * np.pi, FPS, endpoint=False)
            shifts = (np.float32([[1, 0, 9 * np.sin(turn)], [0, 1, 5 * np.sin(2 * turn)]])
                      for turn in turns)
            self._heads[person.key] = [
                simplejpeg.encode_jpeg(cv2.warpAffine(
                    still, shift, FRAME_SIZE, borderMode=cv2.BORDER_REPLICATE), 88)
                for shift in shifts]
        return self._heads[person.key]

    def _phone(self, key: str, step: int) -> bytes:
        held = getattr(self, "_held", {})
        if (key, step) not in held:
            code = self.city.wallets[key].code("resident_id", step)
            held[key, step] = phone_frame(code, seed=step % 100)
            self._held = held
        return held[key, step]

    @asynccontextmanager
    async def browser(
        self, *, film: Path | None = None, locale: str = "zh-CN", flags=(), **options):
        """Open a profile of its own, with a film or flags in a browser of its own; gives a page."""
        own = film is not None or bool(flags)
        if film is not None:
            flags = (*flags, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                     f"--use-file-for-fake-video-capture={film}")
        if own:
            browser = await self._launch(flags)
        else:
            browser = self._shared = self._shared or await self._launch(())
        context = await browser.new_context(locale=locale, **options)
        page = await context.new_page()
        page.set_default_timeout(20_000)
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda message: page.errors.append(message.text)
                if message.type == "error" and "Content Security" in message.text else None)
        try:
            yield page
        finally:
            await (browser if own else context).close()
        assert not page.errors, page.errors

    async def _launch(self, flags):
        return await self._playwright.chromium.launch(executable_path=CHROMIUM, args=[
            "--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required", *flags])

    async def sign_in(self, page, address: str, name: str) -> None:
        await page.goto(address + "/signin")
        await page.fill("[name=name]", name)
        await page.fill("[name=password]", PASSWORD)
        await page.click("main button")
        await page.wait_for_url(lambda url: "/signin" not in url)

    async def console(self, page, scene: str = "hotel.checkin") -> None:
        """Sign in, lock the desk, open the console."""
        await self.sign_in(page, self.node, "wen")
        await page.goto(self.node + "/desk")
        await page.check(f"input[value$='{scene}']")
        await page.click("main button:not([value=''])")
        await page.wait_for_selector("#trust .pill")  # its scripts run

    async def fresh_step(self, room_s: float = 2.5) -> int:
        """Wait for a moment with that much of the step left."""
        left = (step_at(time.time()) + 1) * 5 - time.time()
        if left < room_s:
            await asyncio.sleep(left + 0.05)
        return step_at(time.time())

    async def verdict(self, page, decision: str) -> str:
        await page.wait_for_selector(f"#verdict[data-decision={decision}]")
        return await page.inner_text("#verdict .say")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stage(tmp_path_factory, face_pack_dir):
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    from playwright.async_api import async_playwright

    folder = tmp_path_factory.mktemp("city")
    async with (running_city(folder, face_pack_dir.parent) as city,
                async_playwright() as playwright):
        for name, role in (("yun", "operator"), ("wen", "supervisor"), ("admin", "administrator")):
            await city.add_account(name, role, PASSWORD)
        yield Stage(city, playwright, folder)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def clinic(stage, face_engine):
    """Scenes that require a challenge, a gate for them, and a holder before the camera."""
    like = await stage.city.admin("GET", "/v1/policies/hotel.checkin")
    for scene, more in CLINIC.items():
        await stage.city.admin("PUT", f"/v1/policies/{scene}?reason=trial",
                               {**like, "challenge": "required", **more})
    await stage.city.admin("POST", "/v1/gates", {"label": "clinic", "scenes": list(CLINIC)})
    await stage.city.taken_up()
    return camera(PEOPLE_BY_KEY["lin"], face_engine)
