"""`make torture`: a city whose node and platform are killed (-9) at random moments under load.

- Real processes on loopback, ended by their own ids. ROUNDS (default 10), SEED, TWICE (the share
  of codes that is shown again at once) and COPIES (how often) from the environment; 200 rounds are
  the full test.
- Each round: everybody starts again and is ready; the same request_id gives the same answer;
  no code is accepted under two request_ids. At the end: the platform holds every record whose
  verdict was answered, each once, and the node's folder is whole and counter-signed.
- Ends with a line `N passed, N failed`; exit 1 if any failed.
"""

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import msgspec

from edge.audit.prove import prove_record
from edge.audit.segment import segment_name, walk_frames
from edge.audit.segments import segment_firsts
from edge.audit.verify import verify_journal
from edge.errors import OperatingError
from edge.hotpath.receipt import check_receipt
from edge.models.convert import ensure_default_pack
from edge.protocol.journal import VerificationRecord, decode_record
from kanhe.commands.loadtest import fill_city
from kanhe.demo.city import City
from kanhe.demo.crowd import Size
from loadtest.data import load_data
from tests.fakes.running_city import FarCity
from tests.torture.load import TWICE_SHARE, Load

CREDENTIALS, GATES = 1_500, 12
LIVE_S = (0.1, 2.5)
READY_S_MAX = 60.0
DRAIN_S = 120.0
PAGE = 1_000
PACKS = Path(__file__).resolve().parents[2] / "var" / "packs"
VICTIMS = (("node",), ("node",), ("node",), ("central",), ("node", "central"))


class Tally:
    """Counts what passed and says what failed."""

    def __init__(self) -> None:
        self.passed = self.failed = 0

    def check(self, what: str, wrong: list[str]) -> None:
        if wrong:
            self.failed += 1
            print(f"FAILED {what}: {len(wrong)}, such as {wrong[:3]}", flush=True)
        else:
            self.passed += 1


async def ready(url: str) -> None:
    """Wait until `/readyz` says so.

    Raises:
        TimeoutError: It doesn't.
    """
    async with asyncio.timeout(READY_S_MAX), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url + "/readyz") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)


async def one_round(city: City, load: Load, chance: random.Random, tally: Tally, name: str) -> str:
    """Load, kill, start again, look; give what was killed and how long the start took."""
    stop = asyncio.Event()
    running = asyncio.create_task(load.run(city.node_url, stop))
    await asyncio.sleep(chance.uniform(*LIVE_S))
    victims = chance.choice(VICTIMS)
    for victim in victims:
        service = getattr(city, victim)
        os.kill(service.pid, signal.SIGKILL)
        service.wait()
        await asyncio.sleep(chance.uniform(0.0, 0.3))
    stop.set()
    await running
    start = time.monotonic()
    try:
        if "central" in victims:
            await city.start_central()
        if "node" in victims:
            await asyncio.to_thread(city.run_node)
        await ready(city.central_url)
        await ready(city.node_url)
        tally.check(f"{name} ready", [])
    except (OperatingError, TimeoutError) as error:
        tally.check(f"{name} ready", [str(error) or "not in time"])
        raise
    took = time.monotonic() - start
    tally.check(f"{name} same answers", await load.again(city.node_url))
    tally.check(f"{name} accepted twice", load.accepted_twice())
    return f"{' and '.join(victims)} killed, ready in {took:.1f} s"


async def drained(city: City) -> dict:
    """Wait until the platform holds and signed everything; give the journal's numbers."""
    async with asyncio.timeout(DRAIN_S), aiohttp.ClientSession() as session:
        while True:
            async with session.get(city.node_url + "/v1/status", headers={
                    "Authorization": f"Bearer {city.gate_credential}"}) as response:
                journal = (await response.json())["journal"]
            if journal["acknowledged"] == journal["size"] == journal["countersigned"]:
                return journal
            await asyncio.sleep(0.2)


async def central_journal(city: City) -> list[dict]:
    """Give every record that the platform holds."""
    found: list[dict] = []
    while True:
        page = await city.admin("GET", f"/v1/journal?after={len(found)}&limit={PAGE}")
        if not page["records"]:
            return found
        found += page["records"]


def requests_recorded(folder: Path) -> list[bytes]:
    """Give the digest of the request of every verdict in a journal's folder."""
    found = []
    for first in segment_firsts(folder):
        for _, data in walk_frames((folder / segment_name(first)).read_bytes()):
            record = decode_record(data) if data is not None else None
            if isinstance(record, VerificationRecord):
                found.append(record.request_digest)
    return found


async def at_the_end(city: City, load: Load, tally: Tally) -> None:
    """Compare what gates were told with what the platform holds."""
    try:
        journal = await drained(city)
        tally.check("everything is shipped and counter-signed", [])
    except TimeoutError:
        tally.check("everything is shipped and counter-signed", ["not in time"])
        return
    held = await central_journal(city)
    by_place = {(row["log"], row["index"]): row for row in held}
    tally.check("the platform holds each record once", [] if (
        len(by_place) == len(held) == journal["size"]) else [
            f"{len(held)} rows, {len(by_place)} places, {journal['size']} records"])
    told = [item.answer for item in load.shown if item.answer is not None]
    missing = [answer["verification_id"] for answer in told if by_place.get(
        (answer["receipt"]["log"], answer["receipt"]["index"]), {}).get("leaf")
        != answer["receipt"]["leaf"]]
    tally.check(f"none of {len(told)} answered verdicts is missing", missing)
    ids = [row["verification_id"] for row in held if "verification_id" in row]
    tally.check("no verdict stands there twice", sorted({i for i in ids if ids.count(i) > 1})
                if len(ids) != len(set(ids)) else [])
    folder = city.folder / "edge" / "journal"
    tally.check("the node's folder is whole", verify_journal(folder).problems)
    digests = requests_recorded(folder)
    tally.check("no request was recorded twice", [
        f"{len(digests)} records of {len(set(digests))} requests"
    ] if len(digests) != len(set(digests)) else [])
    wrong = []
    for answer in random.Random(1).sample(told, min(50, len(told))):
        proof = prove_record(folder, answer["receipt"]["index"])
        wrong += check_receipt(proof, witness=proof.countersignature.public)
        wrong += [] if proof.leaf == answer["receipt"]["leaf"] else ["another leaf"]
    tally.check("answered receipts are proved under the counter-signed checkpoint", wrong)
    print(msgspec.json.encode({
        "answered": len(told), "accepted": sum(a["decision"] == "accept" for a in told),
        "attempts_to_spend_again": load.attempts(), "unanswered": load.unanswered,
        "refused": load.refusals, "records": len(held),
    }).decode(), flush=True)


def last_words(folder: Path) -> None:
    """Print what the services said of errors."""
    for path in sorted(folder.glob("*.log")):
        lines = path.read_text(errors="replace").splitlines()
        told = [line for line in lines if line.startswith("kanhe:") or '"level":"error"' in line]
        print(path.name, *told[-10:], sep="\n", flush=True)


async def main() -> int:
    """Run all rounds."""
    rounds, seed = int(os.environ.get("ROUNDS", "10")), int(os.environ.get("SEED", "1"))
    chance, tally = random.Random(seed), Tally()
    ensure_default_pack(PACKS)
    with tempfile.TemporaryDirectory(prefix="kanhe-torture-") as name:
        city = FarCity(Path(name), PACKS)
        try:
            data = city.folder / "loadtest"
            await fill_city(city, data, Size(credentials=CREDENTIALS, gates=GATES),
                            lambda text: print(text, flush=True))
            load = Load(load_data(data), chance,
                        twice=float(os.environ.get("TWICE", TWICE_SHARE)),
                        copies=int(os.environ.get("COPIES", "1")))
            city.gate_credential = load_data(data).gates[0].credential
            for number in range(1, rounds + 1):
                said = await one_round(city, load, chance, tally, f"round {number}")
                print(f"round {number}: {said}, {len(load.shown)} shown", flush=True)
            await at_the_end(city, load, tally)
        except OperatingError:
            last_words(city.folder)
            raise
        finally:
            city.stop()
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
