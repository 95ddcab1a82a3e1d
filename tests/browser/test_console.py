"""The operator's console in a real Chromium, before a camera that plays a live phone and a face."""

import re

import pytest
from playwright.async_api import expect

from kanhe.demo.frames import face_frame
from kanhe.demo.people import PEOPLE, load_portrait
from tests.browser.conftest import PASSWORD, PEOPLE_BY_KEY

pytestmark = pytest.mark.asyncio(loop_scope="session")


def keys_of(text: str) -> list[dict]:
    """What an American wedge scanner presses for a text."""
    plain = {" ": "Space", "-": "Minus", ".": "Period", "/": "Slash"}
    shifted = {"$": "Digit4", "%": "Digit5", "*": "Digit8", "+": "Equal", ":": "Semicolon"}
    pressed = []
    for c in text:
        if c in shifted:
            pressed.append({"code": shifted[c], "shiftKey": True})
        elif c in plain:
            pressed.append({"code": plain[c], "shiftKey": False})
        else:
            pressed.append({"code": f"Digit{c}" if c.isdigit() else f"Key{c}",
                            "shiftKey": c.isalpha()})
    return [*pressed, {"code": "Enter", "shiftKey": False}]


SCAN = """(keys) => { for (const key of keys)
  (document.activeElement ?? document.body).dispatchEvent(
  new KeyboardEvent("keydown", {...key, key: "Process", bubbles: true, cancelable: true})); }"""


async def shift_of(page) -> list[str]:
    """Give what the console shows of this desk's last verifications, a line each."""
    return await page.eval_on_selector_all("#last tr", "rows => rows.map(row => row.innerText)")


async def test_one_camera_sees_code_and_face_and_one_showing_is_one_verification(stage):
    await stage.fresh_step(4.0)
    film = stage.film(("code", "ma", 4), ("face", "ma", 6), ("code", "ma", 4))
    async with stage.browser(film=film) as page:
        async with page.expect_response("**/v1/verifications?limit=30"):
            await stage.console(page)
        await stage.fresh_step(4.0)
        stage.film(("code", "ma", 4), ("face", "ma", 6), ("code", "ma", 4))
        earlier = set(await shift_of(page))
        await page.click("#camera")
        words = await stage.verdict(page, "accept")
        assert "通过" in words
        assert "马**" in await page.inner_text("#disclosed")
        assert "330***" in await page.inner_text("#disclosed")
        assert await page.query_selector("#sign svg") is not None
        assert "在线" in await page.inner_text("#trust")
        await page.wait_for_timeout(1_500)
        rows = [row for row in await shift_of(page) if row not in earlier]
        assert any("核验通过" in row for row in rows), rows
        assert not any("使用过" in row for row in rows), rows


async def test_a_scanner_types_through_a_chinese_input_method_and_a_replay_is_refused(stage):
    async with stage.browser(locale="en-GB") as page:
        await stage.console(page, "office.gatehouse")
        await stage.fresh_step()
        step = await stage.fresh_step()
        code = stage.city.wallets["bao"].code("resident_id", step)
        await page.evaluate(SCAN, keys_of(code))
        assert "Accepted" in await stage.verdict(page, "accept")
        await page.evaluate(SCAN, keys_of(code))
        assert "used already" in await stage.verdict(page, "reject")
        await page.keyboard.press("Escape")
        await stage.verdict(page, "idle")
        # A person who types isn't a scanner, and the words reach the field.
        await page.evaluate(SCAN, keys_of("NOTACODE"))
        await stage.verdict(page, "idle")


async def test_a_holder_who_shows_no_face_is_decided_by_a_person_with_a_reason(stage):
    async with stage.browser(locale="en-GB") as page:
        await stage.console(page)
        code = stage.city.wallets["fang"].code("resident_id", await stage.fresh_step())
        await page.evaluate(SCAN, keys_of(code))
        await stage.verdict(page, "wait")
        await page.click("#noface")
        await page.click("#decision .good")  # the reason is required
        assert await page.is_visible("#note")
        await page.fill("#note", "<b>paper card seen</b>")
        await page.click("#decision .good")
        assert "Accepted" in await stage.verdict(page, "accept")
        assert "wen" in await page.inner_text("#last tr:first-child")
        assert "方*" in await page.inner_text("#disclosed")


async def test_a_picture_guides_and_then_shows_code_and_face(stage, tmp_path):
    async with stage.browser(locale="en-GB") as page:
        await stage.console(page)
        empty = tmp_path / "empty.jpg"
        empty.write_bytes(face_frame(load_portrait(PEOPLE[4]), seed=1))
        await page.set_input_files("#file", empty)
        await expect(page.locator("#guide")).to_contain_text(re.compile("code|blurred"))
        phone = tmp_path / "phone.jpg"
        phone.write_bytes(stage._phone("lin", await stage.fresh_step()))
        await page.set_input_files("#file", phone)
        await stage.verdict(page, "wait")
        await page.set_input_files("#file", empty)
        await stage.verdict(page, "accept")


@pytest.mark.parametrize(("name", "words"), [
    ("NotAllowedError", "The camera was refused: allow it"),
    ("NotFoundError", "No camera was found: use a scanner"),
    ("NotReadableError", "Another program uses the camera"),
])
async def test_a_camera_that_isnt_to_be_had_is_said_in_words(stage, name, words):
    async with stage.browser(locale="en-GB") as page:
        await page.add_init_script(f"""navigator.mediaDevices.getUserMedia =
            () => Promise.reject(new DOMException("", "{name}"));""")
        await stage.console(page)
        await page.click("#camera")
        await expect(page.locator("#guide")).to_contain_text(words)


async def test_a_camera_that_goes_away_or_to_another_tab_is_said_and_opens_again(stage):
    async with stage.browser(film=stage.film(("face", "ma", 2)), locale="en-GB") as page:
        await stage.console(page)
        await page.click("#camera")
        await page.wait_for_selector("#frame[data-phase=code]")
        await page.evaluate("""document.querySelector("#video").srcObject.getTracks()[0]
            .dispatchEvent(new Event("ended"))""")
        await expect(page.locator("#guide")).to_contain_text("The camera is gone")
        await page.click("#camera")
        await page.wait_for_selector("#frame[data-phase=code]")
        other = await page.context.new_page()
        await other.goto(stage.node + "/")
        await other.click("#camera")
        await other.wait_for_selector("#frame[data-phase=code]")
        await expect(page.locator("#guide")).to_contain_text("Another tab has the camera")
        assert await page.get_attribute("#frame", "data-phase") == "off"


async def test_a_late_code_is_a_retry_that_says_what_to_do_and_the_live_one_is_taken(stage):
    async with stage.browser(locale="en-GB") as page:
        await stage.console(page, "office.gatehouse")
        step, wallet = await stage.fresh_step(), stage.city.wallets["shi"]
        await page.evaluate(SCAN, keys_of(wallet.code("resident_id", step - 4)))
        assert "show the live one" in await stage.verdict(page, "retry")
        assert "live code" in await page.inner_text("#next")
        await page.evaluate(SCAN, keys_of(wallet.code("resident_id", await stage.fresh_step())))
        await stage.verdict(page, "accept")


async def test_what_the_node_refers_a_person_refuses_by_keyboard_alone(stage, tmp_path):
    async with stage.browser(locale="en-GB") as page:
        await stage.console(page, "bank.counter")
        code = stage.city.wallets["ma"].code("resident_id", await stage.fresh_step())
        await page.evaluate(SCAN, keys_of(code))
        await stage.verdict(page, "wait")
        face = tmp_path / "another.jpg"
        face.write_bytes(face_frame(load_portrait(PEOPLE_BY_KEY["lin"]), seed=4))
        await page.set_input_files("#file", face)
        assert "can't meet this scene" in await stage.verdict(page, "refer")
        # The words are told to a screen reader at once, and the reason's field has the focus.
        assert "can't meet this scene" in await page.get_by_role("alert").inner_text()
        await expect(page.get_by_label("What you decided on")).to_be_focused()
        await page.keyboard.type("not the person of the card")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="Accept")).to_be_focused()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        assert "Refused by the operator" in await stage.verdict(page, "reject")
        assert "by hand" in await page.inner_text("#last tr:first-child")


async def test_a_session_that_ends_between_code_and_face_goes_on_after_signing_in(stage, tmp_path):
    async with stage.browser(locale="en-GB") as page:
        await stage.console(page)
        code = stage.city.wallets["lin"].code("resident_id", await stage.fresh_step())
        await page.evaluate(SCAN, keys_of(code))
        await stage.verdict(page, "wait")
        cookies = [cookie["name"] for cookie in await page.context.cookies()]
        desk = next(name for name in cookies if "desk" in name)
        for name in cookies:
            if name != desk:
                await page.context.clear_cookies(name=name)
        await page.click("a.button[href^='/signin']")
        await page.fill("[name=name]", "wen")
        await page.fill("[name=password]", PASSWORD)
        await page.click("main button")
        assert "Going on with the verification" in await stage.verdict(page, "wait")
        face = tmp_path / "face.jpg"
        face.write_bytes(face_frame(load_portrait(PEOPLE_BY_KEY["lin"]), seed=5))
        await page.set_input_files("#file", face)
        await stage.verdict(page, "accept")


async def test_who_isnt_signed_in_sees_the_form_and_a_session_that_ends_says_so(stage):
    async with stage.browser(locale="en-GB") as page:
        await page.goto(stage.node + "/")
        assert "/signin" in page.url
        await page.fill("[name=name]", "wen")
        await page.fill("[name=password]", "not the password")
        await page.click("main button")
        assert "Wrong name or password" in await page.inner_text("main")
        await stage.console(page)
        await page.context.clear_cookies()
        await page.wait_for_selector("a.button[href^='/signin']")
        assert "signed out" in await page.inner_text("#verdict")


async def test_an_operator_cant_unlock_the_desk_and_both_languages_are_there(stage):
    async with stage.browser(locale="en-GB") as page:
        await stage.sign_in(page, stage.node, "yun")
        response = await page.goto(stage.node + "/desk")
        assert response.status == 403
        await page.goto(stage.node + "/status")
        assert "Node status" in await page.inner_text("h1")
        # The default pack misses too many for a bank, and every showing of it says for whom.
        assert "the FNMR is too high: referred" in await page.inner_text("main")
        assert "East Asian faces" in await page.inner_text("main")
        await page.click("text=中文")
        assert "节点状态" in await page.inner_text("h1")
    assert PASSWORD not in (stage.city.folder / "node.log").read_text()
