"""`kanhe demo`: the main job on real input, over HTTP, on embedded storage.

- Exit code 0 only if every answer was the expected one.
- Without `--once` everything stays up until interrupted, with what to call.
"""

import argparse
import asyncio
import secrets
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from kanhe.progress import show_progress

if TYPE_CHECKING:
    from kanhe.demo.city import City


SIGN_INS = (("yun", "operator"), ("wen", "supervisor"), ("admin", "administrator"))
"""Who signs in, and as what; passwords are made anew for every run."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `demo`."""
    parser = subparsers.add_parser("demo", help="see Kanhe at work on real input")
    parser.add_argument("--once", action="store_true", help="end after the table")
    parser.add_argument("--folder", type=Path, metavar="DIR",
                        help="keep the city here (an empty folder); default: a temporary one")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS",
                        help="where both listen; 0.0.0.0 lets a real phone and tablet of this "
                             "network join, over TLS")
    parser.set_defaults(run=run_demo)


def run_demo(args: argparse.Namespace) -> int:
    """Play the story, then stay up unless told otherwise."""
    packs = Path("var/packs")
    # Told to stop, the demo stops what it started, as on Ctrl-C.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, _interrupt)
    if args.folder is not None:
        args.folder.mkdir(parents=True, exist_ok=True)
        if any(args.folder.iterdir()):
            print(f"kanhe: {args.folder} isn't empty: give the demo a folder of its own",
                  file=sys.stderr)
            return 1
        return asyncio.run(_play(args.folder, packs, args.host, once=args.once))
    with tempfile.TemporaryDirectory(prefix="kanhe-demo-") as folder:
        return asyncio.run(_play(Path(folder), packs, args.host, once=args.once))


def _interrupt(_: int, __: object) -> None:
    raise KeyboardInterrupt


async def _play(folder: Path, packs: Path, host: str, *, once: bool) -> int:
    from edge.models.convert import ensure_default_pack
    from kanhe.demo.city import City
    from kanhe.demo.story import CALL_S_MAX, Story
    from kanhe.demo.table import Table

    start = time.monotonic()
    _say("making the default face pack, if it isn't there yet …")
    ensure_default_pack(packs, show_progress)
    city = City(folder, packs, host)
    try:
        _say("starting the central platform …")
        await city.start_central()
        _say("enrolling and starting the node …")
        code = await city.admin("POST", "/v1/node-codes")
        city.start_node(code["code"])
        _say("registering holders with their photographs, credentials and wallets …")
        await city.found()
        _say(f"the city stands after {time.monotonic() - start:.1f} s; at the counter:\n")
        table = Table()
        table.head()
        headers = {"Authorization": f"Bearer {city.gate_credential}"}
        timeout = aiohttp.ClientTimeout(CALL_S_MAX)
        connector = aiohttp.TCPConnector(ssl=city.tls("edge"))
        async with aiohttp.ClientSession(
                headers=headers, timeout=timeout, connector=connector) as session:
            await Story(city, table, session).play()
        wrong = table.unexpected
        print(f"\n{len(table.rows) - len(wrong)} as expected, {len(wrong)} not", flush=True)
        if not once:
            await _stay(city, folder)
        return 1 if wrong else 0
    finally:
        city.stop()


async def _stay(city: "City", folder: Path) -> None:
    """Leave a fresh phone and face behind, say what to call, and wait."""
    from edge.protocol.kh1 import step_at
    from kanhe.demo.frames import face_frame, phone_frame
    from kanhe.demo.people import PEOPLE, load_portrait

    person = PEOPLE[0]
    node, central = city.seen(city.node_url), city.seen(city.central_url)
    insecure = "" if node.startswith("http:") else " -k"
    passwords = {name: secrets.token_urlsafe(9) for name, _ in SIGN_INS}
    for name, role in SIGN_INS:
        await city.add_account(name, role, passwords[name])
    pairing = await city.pairing_code(person.key)
    signs = "\n".join(f"            {name:10} {passwords[name]}   {role}"
                      for name, role in SIGN_INS)
    (folder / "face.jpg").write_bytes(face_frame(load_portrait(person), seed=1))
    if node.startswith("https:"):
        print(f"\nOther devices install the two authorities once: {node}/authority and "
              f"{central}/authority")
    print(f"""
Console   {node}/            the operator's; first a supervisor locks it at /desk
Wallet    {central}/wallet/#{pairing}
            pairs this browser with {person.name}'s credentials, once
Platform  {central}/                  administration
Sign-ins  (made for this run, the same at both)
{signs}
Folder    {folder}
            phone.jpg shows a live code, renewed every step; face.jpg is {person.name}'s face
Gate      {city.gate_credential}

Play it in two windows: sign in at the console as wen, lock the desk to Hotel check-in; open the
wallet in the other window and tap the identity card. Hold the phone to the camera, or let the
console see the wallet's window ("Use a window"); when it asks for the face, drop face.jpg on it.
Then revoke the card at the platform (Holders) and show the next code.

Try it:
  curl -s{insecure} {city.node_url}/v1/verifications \\
    -H 'Authorization: Bearer {city.gate_credential}' \\
    -F scene=hotel.checkin -F request_id=$(date +%s%N) \\
    -F code_image=@{folder}/phone.jpg -F face_image=@{folder}/face.jpg

Ctrl-C ends it.""", flush=True)
    while True:
        step = step_at(time.time())
        picture = phone_frame(city.wallets[person.key].code("resident_id", step), seed=step % 1000)
        part = folder / "phone.part"
        part.write_bytes(picture)
        part.replace(folder / "phone.jpg")
        await asyncio.sleep((step + 1) * 5 - time.time() + 0.01)


def _say(text: str) -> None:
    print(text, flush=True)
