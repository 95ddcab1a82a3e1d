"""A made-up fleet: nodes as they stand in the platform's table, each with a report."""

import hashlib

import msgspec

from central.schema import Node
from edge.protocol.kh1 import DAY_S
from edge.protocol.report import NodeReport

DISTRICTS = ("海曙", "江北", "鄞州", "镇海", "北仑", "奉化", "慈溪", "余姚", "象山", "宁海")
PLACES = ("酒店前台", "派出所", "银行柜台", "车站闸机", "写字楼门禁")


def report(cursor: int, **differently: object) -> bytes:
    plain = {
        "version": "0.1.0", "ready": True, "problems": (), "clock": "trusted", "cursor": cursor,
        "keys_age_s": 60, "status_age_s": 2, "face_pack": "dlib-v1", "scenes_unfit": (),
        "held": {"credentials": 41_234, "faces": 8_112}, "unshipped": 0, "uptime_s": 90_000}
    return msgspec.json.encode(NodeReport(**{**plain, **differently}))


def node(number: int, now_s: int, head: int, *, silent_s: int = 3, token_days: float = 20.0,
         revoked: bool = False, reported: bool = True, **said: object) -> Node:
    """Make node `number`; `said` is what its report says differently."""
    digest = hashlib.sha256(b"node %d" % number).digest()
    name = f"{DISTRICTS[number % 10]}{PLACES[number // 10 % 5]} {number:04d}"
    return Node(
        id=digest.hex()[:16], name=name, token_hash=digest, sign_public=digest,
        seal_public=digest, journal_log=digest.hex()[:32], enrolled_s=now_s - 90 * DAY_S,
        seen_s=now_s - silent_s, revoked_s=now_s - 60 if revoked else None,
        report=report(said.pop("cursor", head), **said) if reported else b"",
        report_s=now_s - silent_s if reported else None,
        token_expires_s=int(now_s + token_days * DAY_S), token_rotated_ms=0)


def thousand(now_s: int, head: int) -> list[Node]:
    """Make 1,000 nodes of which 90 need a hand and 10 were revoked, in no order of need."""
    odd = {
        3: {"silent_s": 4 * DAY_S, "cursor": head - 900}, 5: {"clock": "untrusted"},
        7: {"unshipped": 70_000}, 11: {"token_days": 2.0}, 13: {"scenes_unfit": ("bank.counter",)},
        17: {"cursor": head - 40, "status_age_s": 4_000}, 19: {"revoked": True},
        23: {"cursor": head + 5}, 29: {"reported": False},
        31: {"problems": ("the journal's disk is full",), "ready": False}}
    return [node(n, now_s, head, **odd.get(n % 100, {})) for n in range(1_000)]
