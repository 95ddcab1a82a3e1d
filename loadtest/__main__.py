"""Load a node: `python -m loadtest --target http://127.0.0.1:8080 --data DIR …`.

- One JSON line on standard output, one HTML report; exit code 0 if the run was valid and at least
  99 % of what was asked was answered well and in time, 3 if not, 2 on wrong usage.
- Bounded by default: 10 s, 200,000 requests; `--soak` moves both bounds.
- Loopback only, unless `--allow-remote HOST` says otherwise.
"""

import argparse
import asyncio
import secrets
import ssl
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import uvloop

from edge.protocol.kh1 import SUITES
from edge.protocol.steps import STEP_S
from loadtest.arrivals import DUTY, PERIOD_S, SHAPES, Shape, arrivals
from loadtest.client import Bounds, Client
from loadtest.data import load_data
from loadtest.engine import Load
from loadtest.errors import LoadTestError
from loadtest.ramp import GOOD_SHARE_MIN, STEPS_MAX, Capacity, find_capacity
from loadtest.report import report_html
from loadtest.scenes import Mix, Scenes, parse_shares
from loadtest.tally import Tally
from loadtest.target import Target, parse_target
from loadtest.wallet import rate_borne

DURATION_S_MAX, SOAK_S_MAX = 600.0, 86_400.0
REQUESTS_MAX, SOAK_REQUESTS_MAX = 200_000, 50_000_000
RATE_MAX = 50_000.0
TIMEOUT_S_MAX, CONNECTIONS_MAX = 60.0, 20_000


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(prog="loadtest", description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--target", required=True, metavar="URL", help="the node, like http://127.0.0.1:8080")
    add("--data", required=True, type=Path, metavar="DIR",
        help="wallets.jsonl, gates.jsonl, faces/ (kanhe loadtest data makes them)")
    add("--rate", type=float, default=50.0,
        help="arrivals a second, default 50 (with --ramp: the first step)")
    add("--duration", type=float, default=10.0, metavar="S",
        help="seconds, default 10 (of a step of --ramp)")
    add("--arrivals", choices=SHAPES, default="constant", help="default constant")
    add("--period", type=float, default=PERIOD_S, metavar="S",
        help=f"a burst begins every so many seconds, default {PERIOD_S:g}")
    add("--duty", type=float, default=DUTY,
        help=f"share of a period in which a burst arrives, default {DUTY:g}")
    add("--mix", default="code=1",
        help="shares, like code=0.7,face=0.2,capture=0.1; default code=1")
    add("--code-scene", default="office.gatehouse", help="a scene without a face")
    add("--face-scene", default="hotel.checkin", help="a scene that asks for a face")
    add("--suite", type=int, choices=SUITES, default=SUITES[0],
        help="of the codes: 1 compact, the default, 2 with SM3, 17 sealed")
    add("--deadline", type=float, default=1.0, metavar="S",
        help="seconds after which an answer is no use, default 1")
    add("--warm", type=float, default=2.0, metavar="S",
        help="seconds before what is counted, default 2")
    add("--ramp", action="store_true", help="find the highest rate that holds")
    add("--soak", action="store_true", help="allow up to a day and 50 million requests")
    add("--requests-max", type=int, metavar="N", help=f"at most so many, default {REQUESTS_MAX}")
    add("--connections", type=int, default=256, metavar="N", help="at most, default 256")
    add("--timeout", type=float, default=10.0, metavar="S",
        help="seconds for an answer, default 10")
    add("--seed", type=int, default=1, help="of whatever is drawn, default 1")
    add("--report", type=Path, default=Path("var/loadtest.html"), metavar="FILE",
        help="where the report goes, default var/loadtest.html")
    add("--authority", type=Path, metavar="PEM", help="whom an https target is believed by")
    add("--allow-remote", default="", metavar="HOST", help="a target that isn't this machine")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run and report."""
    args = build_parser().parse_args(argv)
    try:
        _check_bounds(args)
        target = parse_target(args.target, args.allow_remote)
        tally, capacity = uvloop.run(_load(args, target))
    except LoadTestError as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    summary = tally.summary()
    args.report.parent.mkdir(parents=True, exist_ok=True)
    args.report.write_text(report_html(_settings(args, target), tally, capacity), "utf-8")
    line = {"target": target.url, "mix": args.mix, "arrivals": args.arrivals,
            **msgspec.to_builtins(summary)}
    if capacity is not None:
        line |= {"capacity": round(capacity.rate, 1), "failed_at": round(capacity.failed_at, 1)}
    print(msgspec.json.encode(line).decode(), flush=True)
    print(f"loadtest: report in {args.report}", file=sys.stderr)
    return 0 if summary.valid and tally.good >= GOOD_SHARE_MIN * tally.due else 3


async def _load(args: argparse.Namespace, target: Target) -> tuple[Tally, Capacity | None]:
    data = load_data(args.data)
    scenes = Scenes(
        data, Mix(shares=parse_shares(args.mix), code_scene=args.code_scene,
                  face_scene=args.face_scene),
        target, suite=args.suite, run=f"lt-{secrets.token_hex(6)}", now=time.time, seed=args.seed)
    borne = rate_borne(len(data.wallets))
    if args.rate > borne and not args.ramp:
        raise LoadTestError(
            f"{len(data.wallets)} wallets show {borne:.0f} codes a second, each once a step: lower "
            f"--rate, or make data with more credentials")
    bounds = Bounds(connections_max=args.connections, timeout_s=args.timeout)
    tls = _believe(args.authority) if target.scheme == "https" else None
    client = Client(target, bounds, tls)
    load = Load(client, scenes)
    shape = Shape(name=args.arrivals, period_s=args.period, duty=args.duty, seed=args.seed)
    limit = args.requests_max or (SOAK_REQUESTS_MAX if args.soak else REQUESTS_MAX)

    async def measure(rate: float, duration_s: float = args.duration) -> Tally:
        """Load at a rate (1/s) for a while, print a line, give the tally."""
        tally = Tally(rate, duration_s, args.deadline)
        await load.run(arrivals(shape, rate, duration_s), tally, limit)
        _say(f"{rate:8.1f}/s asked  {tally.goodput:8.1f}/s good  "
             f"p99 {tally.percentile_ms(99.0):8.1f} ms" if tally.due else "nothing was due")
        return tally

    try:
        # Wallets may have shown this step in a run before: begin with a step of our own.
        await asyncio.sleep(STEP_S - time.time() % STEP_S + 0.05)
        if args.warm > 0.0:
            await measure(min(args.rate, borne), args.warm)
        if not args.ramp:
            return await measure(args.rate), None
        capacity = await find_capacity(measure, args.rate, min(borne, RATE_MAX), STEPS_MAX)
        held = [run for run in capacity.runs if run.rate == capacity.rate] or capacity.runs[-1:]
        return held[0], capacity
    finally:
        client.close()


def _check_bounds(args: argparse.Namespace) -> None:
    longest = SOAK_S_MAX if args.soak else DURATION_S_MAX
    if not 0.0 < args.duration <= longest:
        more = "" if args.soak else "; --soak allows a day"
        raise LoadTestError(f"--duration is above 0 and at most {longest:.0f} s{more}")
    if not 0.0 < args.rate <= RATE_MAX:
        raise LoadTestError(f"--rate is above 0 and at most {RATE_MAX:.0f} a second")
    if not 0.0 < args.duty <= 1.0 or args.period <= 0.0:
        raise LoadTestError("--duty is above 0 and at most 1, --period above 0")
    if not 0.0 < args.deadline <= args.timeout <= TIMEOUT_S_MAX:
        raise LoadTestError(f"--deadline is above 0 and at most --timeout "
                            f"({TIMEOUT_S_MAX:g} s at most)")
    if not 1 <= args.connections <= CONNECTIONS_MAX:
        raise LoadTestError(f"--connections is 1 to {CONNECTIONS_MAX}")


def _believe(authority: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(authority) if authority else None)
    except OSError as error:
        raise LoadTestError(f"{authority}: {error.strerror or error}") from error


def _settings(args: argparse.Namespace, target: Target) -> list[tuple[str, str]]:
    units = {"rate": "1/s", "duration": "s", "deadline": "s", "timeout": "s"}
    if args.arrivals == "burst":
        units |= {"period": "s", "duty": ""}
    names = ("mix", "arrivals", "rate", "period", "duty", "duration", "deadline", "suite",
             "connections", "timeout")
    return [("target", target.url), *(
        (", ".join(filter(None, (name, units.get(name)))), str(getattr(args, name)))
        for name in names if name in units or name not in ("period", "duty"))]


def _say(text: str) -> None:
    print(f"loadtest: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
