"""Receipts in a real Chromium: on the platform, on the page that stands alone, from a list."""

import json
import threading
from pathlib import Path

import msgspec
import pytest

from edge.hotpath.receipt import ReceiptFile
from edge.protocol.journal import Evidence, VerificationRecord, encode_record
from tests.audit.test_receipts import KEY as NODE_KEY
from tests.audit.test_receipts import WITNESS, public, spoiled, write
from tests.audit.test_receipts import prove_record as prove
from tests.browser.conftest import CHROMIUM, PASSWORD
from tests.central.desk import desk_of
from tests.central.test_checkpoints import Wired, checkpoint

ALONE = Path(__file__).resolve().parents[2] / "docs" / "verifier" / "receipt.html"


@pytest.fixture
async def desk(tmp_path):
    async with desk_of(tmp_path / "central") as desk:
        yield desk


@pytest.fixture
async def page():
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = await browser.new_context(locale="en-GB", accept_downloads=True)
        page = await context.new_page()
        page.set_default_timeout(15_000)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        yield page
        await browser.close()
        assert not errors, errors


async def check(page, text: str, *, key: str = "", witness: str = "") -> str:
    await page.fill("#receipt-text", text)
    await page.fill("#receipt-key", key)
    await page.fill("#receipt-witness", witness)
    await page.evaluate("document.getElementById('receipt-said').dataset.holds = ''")
    await page.click("#receipt-form button")
    await page.wait_for_selector("#receipt-said:not([data-holds=''])")
    return await page.get_attribute("#receipt-said", "data-holds")


async def all_of_it(page, folder):
    """A receipt that holds, one without the platform, and every lie."""
    proof = prove(folder, 21, with_record=True)
    whole = msgspec.json.encode(proof).decode()
    keys = {"key": public(NODE_KEY.signing), "witness": public(WITNESS)}
    assert await check(page, whole) == "yes"
    assert await check(page, whole, **keys) == "yes"
    assert await check(page, whole, key="00" * 32) == "no"
    assert await check(page, whole, witness="00" * 32) == "no"
    bare = msgspec.json.encode(msgspec.structs.replace(proof, countersignature=None)).decode()
    assert await check(page, bare) == "partly"
    assert await check(page, bare, **keys) == "no"
    for name, lie in spoiled(proof):
        assert await check(page, json.dumps(lie)) == "no", name
    for text in ("", "{}", "[]", "null", "1", "<b>"):
        assert await check(page, text) == "no"


async def test_the_page_that_stands_alone_checks_a_file(page, tmp_path):
    write_in(tmp_path)
    await page.goto(ALONE.as_uri())
    await all_of_it(page, tmp_path)
    path = tmp_path / "receipt.json"
    path.write_bytes(msgspec.json.encode(prove(tmp_path, 3)))
    await page.set_input_files("#receipt-file", path)
    assert await check(page, "") == "yes"


def write_in(folder):
    """`write` runs a loop of its own, which a test's loop doesn't allow."""
    thread = threading.Thread(target=write, args=(folder, range(40)))
    thread.start()
    thread.join()


async def test_the_platforms_page_checks_a_file_under_its_policy(page, desk, tmp_path):
    write_in(tmp_path)
    response = await page.goto(str(desk.server.make_url("/receipt")))
    assert "unsafe" not in response.headers["content-security-policy"]
    assert await page.input_value("#receipt-witness") == desk.platform.keys.witness_public
    await all_of_it(page, tmp_path)


def verification(number: int) -> bytes:
    return encode_record(VerificationRecord(
        verification_id=f"{number:032x}", kind="verification", at_ms=1_000 + number, gate_id="g",
        scene="office.gatehouse", request_digest=bytes(16), body_digest=bytes(16),
        decision="accept", reason="ok", credential_id=bytes(16), credential_type="resident_id",
        credential_status="valid", suite=1, step=1, evidence=Evidence(
            mode="online", clock="trusted", keys_age_s=1, status_age_s=1, credential_age_s=1,
            policy_version=1, replay_scope="node")))


async def test_the_administration_shows_what_is_counter_signed_and_gives_its_receipt(
    page, desk, tmp_path
):
    await desk.call("POST", "/v1/accounts", {
        "name": "admin", "role": "administrator", "password": PASSWORD})
    wired = Wired(desk, (await desk.enrol())[1]["token"])
    held = [verification(number) for number in range(6)]
    await wired.ship(held)
    assert (await wired.sign(checkpoint(held[:5])))[0] == 200
    address = str(desk.server.make_url("/")).rstrip("/")
    await page.goto(address + "/signin")
    await page.fill("[name=name]", "admin")
    await page.fill("[name=password]", PASSWORD)
    await page.click("main button")
    await page.wait_for_url(lambda url: "/signin" not in url)
    await page.goto(f"{address}/journal/{5:032x}")
    assert "not yet" in await page.inner_text("main")
    await page.goto(f"{address}/journal/{2:032x}")
    assert "counter-signed" in await page.inner_text("main")
    async with page.expect_download() as started:
        await page.click("a[download]")
    path = tmp_path / "receipt.json"
    await (await started.value).save_as(path)
    receipt = msgspec.json.decode(path.read_bytes(), type=ReceiptFile)
    assert (receipt.index, receipt.checkpoint.size) == (2, 5)
    await page.click("a[href='/receipt']")
    assert await check(
        page, path.read_text(), witness=desk.platform.keys.witness_public) == "yes"
