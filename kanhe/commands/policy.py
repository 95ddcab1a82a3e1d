"""`kanhe policy dry-run`: what would past answers have been under other policies?

- From a node's journal folder, or from the central platform's database; both may be in use.
- Nothing is changed anywhere. JSON lines, one a scene and one for the whole; on a terminal a table.
"""

import argparse
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec

from edge.audit.walk import walk_journal
from edge.errors import ConfigError
from edge.hotpath.dryrun import BeforePolicy, DryRun, DryRunReport, SceneRun
from edge.hotpath.past import MISSING_WORDS
from edge.models.operating import shelf_points
from edge.protocol.records import ScenePolicy
from kanhe.packs import packs_folder
from kanhe.progress import show_progress

FILE_BYTES_MAX = 4 * 1024 * 1024
_CHINA = timezone(timedelta(hours=8))


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `policy dry-run`."""
    parser = subparsers.add_parser("policy", help="scenes' rules before they go live")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    dry = actions.add_parser(
        "dry-run", help="judge past answers under other policies; changes nothing")
    dry.add_argument("--policies", required=True, type=Path, metavar="FILE",
                     help="JSON: one policy, a list, or what `kanhe central policy list` prints")
    source = dry.add_mutually_exclusive_group(required=True)
    source.add_argument("--journal", type=Path, metavar="DIR", help="a node's journal folder")
    source.add_argument("--central", action="store_true",
                        help="the central platform's journal, by its configuration")
    dry.add_argument("--config", type=Path, metavar="FILE", help="TOML file of the platform")
    dry.add_argument("--before", type=Path, metavar="FILE",
                     help="the policies of that time, where the journal is a node's: more can "
                          "be known with them")
    dry.add_argument("--since", default="", metavar="TIME",
                     help="ISO date or time, China's unless it names another zone")
    dry.add_argument("--packs", type=Path, metavar="DIR",
                     help="folder of face packs, whose thresholds are used")
    dry.set_defaults(run=run_dry_run)


def run_dry_run(args: argparse.Namespace) -> int:
    """Judge and print."""
    policies = load_policies(args.policies)
    since_s = _since(args.since)
    points = shelf_points(args.packs or packs_folder())
    if args.journal is not None:
        if args.config is not None:
            raise ConfigError("--config goes with --central")
        before = _held(load_policies(args.before)) if args.before else _none
        report = _through_folder(args.journal, DryRun(policies, before, points), since_s)
    else:
        if args.before is not None:
            raise ConfigError("--before goes with --journal: the platform keeps every version")
        report = _through_platform(
            args.config, lambda before: DryRun(policies, before, points), since_s)
    show = _show if sys.stdout.isatty() else _print
    show(report)
    return 0


def load_policies(path: Path) -> dict[str, ScenePolicy]:
    """Read policies, by scene.

    Raises:
        ConfigError: It can't be read, or isn't of policies.
    """
    try:
        data = path.read_bytes()
        if len(data) > FILE_BYTES_MAX:
            raise ConfigError(f"{path} is larger than policies are ({FILE_BYTES_MAX} bytes)")
        raw = msgspec.json.decode(data)
        if isinstance(raw, dict):
            raw = raw.get("policies", [raw])
        known = {field.name for field in msgspec.structs.fields(ScenePolicy)}
        for item in raw if isinstance(raw, list) else []:
            strange = set(item) - known if isinstance(item, dict) else set()
            if strange:
                raise ConfigError(f"{path}: a policy has no {', '.join(sorted(strange))}")
        found = msgspec.convert(raw, list[ScenePolicy])
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} isn't of policies: {error}") from error
    if not found:
        raise ConfigError(f"{path} holds no policy")
    return {policy.scene: policy for policy in found}


def _through_folder(folder: Path, dry: DryRun, since_s: float) -> DryRunReport:
    def _progress(done: int, total: int) -> None:
        show_progress(done, total, "bytes judged anew")

    return dry.run(walk_journal(folder, since_s, _progress), int(since_s * 1000))


def _through_platform(
    config_file: Path | None, make: Callable[[BeforePolicy], DryRun], since_s: float
) -> DryRunReport:
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.orm import Session

    from central.config import load_central_config
    from central.dryrun import policies_before, walk_archive
    from central.engine import open_engine, parse_address
    from central.upgrade import sqlite_path
    from edge.errors import StoreError

    config = load_central_config(config_file, os.environ)
    engine = open_engine(parse_address(config.database_address), 1)
    path = sqlite_path(engine)
    if path is not None and not path.exists():
        raise ConfigError(f"{path}: there is no database of a platform; say --config")
    try:
        with Session(engine) as session:
            before = policies_before(session)
        since_ms = int(since_s * 1000)
        return make(before).run(walk_archive(
            engine, since_ms, lambda done, total: show_progress(
                done, total, "records judged anew")), since_ms)
    except SQLAlchemyError as error:
        raise StoreError(f"the database can't be read: {type(error).__name__}") from error
    finally:
        engine.dispose()


def _held(policies: dict[str, ScenePolicy]) -> BeforePolicy:
    def _before(scene: str, version: int) -> ScenePolicy | None:
        policy = policies.get(scene)
        return policy if policy is not None and policy.version == version else None

    return _before


def _none(_: str, __: int) -> ScenePolicy | None:
    return None


def _since(text: str) -> float:
    if not text:
        return 0.0
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError("--since takes a date or time like 2026-11-01 or "
                          "2026-11-01T08:00") from error
    return (at if at.tzinfo else at.replace(tzinfo=_CHINA)).timestamp()


def _print(report: DryRunReport) -> None:
    out = sys.stdout
    for scene in report.scenes:
        out.write(msgspec.json.encode(scene).decode() + "\n")
    out.write(msgspec.json.encode(msgspec.structs.replace(report, scenes=[])).decode() + "\n")


def _show(report: DryRunReport) -> None:
    """Draw what changes, and what can't be known, scene by scene."""
    if report.first_ms is not None and report.last_ms is not None:
        first, last = (datetime.fromtimestamp(ms / 1e3, UTC).isoformat(" ", "minutes")
                       for ms in (report.first_ms, report.last_ms))
        print(f"{report.answers} answers from {first} to {last}")
    for scene in report.scenes:
        _show_scene(scene)
    print(f"the same {report.same}, changed {report.changed}, can't be known {report.unknown}; "
          f"passed over: {report.other} answers without a policy here, {report.events} events")


def _show_scene(scene: SceneRun) -> None:
    print(f"\n{scene.scene}: {scene.answers} answers, {scene.same} the same")
    for item in scene.changed:
        print(f"  {item.count:>8}  {item.decision} {item.reason} → {item.new_decision} "
              f"{item.new_reason}   {' '.join(item.examples)}")
    for left in scene.unknown:
        print(f"  {left.count:>8}  {left.decision} {left.reason} → can't be known: "
              f"{MISSING_WORDS[left.missing].en}   {' '.join(left.examples)}")
