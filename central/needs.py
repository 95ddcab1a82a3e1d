"""What the nodes of a fleet need a hand for: judged from reports, being heard, and tokens.

- Who needs a hand most comes first; a fleet of a thousand is one pass over a thousand rows.
- Staleness is the age of the status a node answers with, now: as of its report, and since.
- Not here: mending anything.
"""

import msgspec

from central import nodes
from central.nodes import NodeShown
from central.store import Transaction
from edge.protocol.kh1 import DAY_S

SEEN_S_MAX = 90
"""A node polls at least every minute; one that wasn't heard for longer is out of reach."""
STALE_S_MAX = 300
UNSHIPPED_MAX = 1_000
TOKEN_LEFT_S = 5 * DAY_S
"""Nodes rotate with a third of a token's life left; with so little left, or a sixth of its life if
that is less, something holds them up."""
ROWS_A_PAGE = 50
KINDS: dict[str, tuple[str, str]] = {
    "ahead": ("超前于平台", "ahead of the platform"), "silent": ("失联", "silent"),
    "unready": ("不能核验", "not verifying"), "unreported": ("从未报告", "never reported"),
    "behind": ("落后", "behind"), "unshipped": ("日志未上传", "journal not shipped"),
    "token": ("令牌将到期", "token ending"), "unfit": ("模型不达标", "pack unfit"),
    "clock": ("时钟不可信", "clock"),
}
"""What may be wrong, the most pressing first, with its name in Chinese and English."""
_RANK = {kind: rank for rank, kind in enumerate(KINDS)}


class Need(msgspec.Struct, frozen=True):
    """One thing that needs a hand: its kind, and words in both languages."""

    kind: str
    zh: str
    en: str


class NodeLine(msgspec.Struct, frozen=True):
    """A node and what it needs, the most pressing first.

    Attributes:
        silent_s: Since it was heard.
        behind: Changes that it doesn't hold, None if it never said.
        stale_s: Age of its status now, None if it has none or never said.
    """

    node: NodeShown
    silent_s: int
    behind: int | None
    stale_s: int | None
    needs: list[Need]


class FleetPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some lines of a fleet, and counts of all of it.

    Attributes:
        lines: Those of one page.
        found: How many lines there are on all pages.
        page, pages: Counted from 1.
        total, fine, needy, revoked: Nodes by how they are; total is without the revoked.
        by_kind: How many need a hand for what.
    """

    lines: list[NodeLine]
    found: int
    page: int
    pages: int
    total: int
    fine: int
    needy: int
    revoked: int
    by_kind: dict[str, int]


def fleet_page(
    tx: Transaction, token_days: int, *, only: str = "", query: str = "", page: int = 1,
    rows: int = ROWS_A_PAGE,
) -> FleetPage:
    """Judge every node and give one page, whoever needs a hand most first.

    Args:
        tx: The transaction.
        token_days: Life of a token.
        only: A kind of need, `needy`, `fine` or `revoked`; anything else gives all.
        query: Part of a name or id.
        page: Counted from 1; one beyond the end is the last.
        rows: Lines of a page.
    """
    head, left_s = tx.head(), min(TOKEN_LEFT_S, token_days * DAY_S // 6)
    lines = [_line(node, tx.now_s, head, left_s) for node in nodes.list_nodes(tx)]
    alive = [line for line in lines if line.node.revoked_s is None]
    by_kind = {kind: sum(any(need.kind == kind for need in line.needs) for line in alive)
               for kind in KINDS}
    needy = sum(bool(line.needs) for line in alive)
    query = query.strip().lower()
    found = sorted(
        (line for line in lines if _asked(line, only) and _named(line, query)), key=_pressing)
    pages = max(1, -(-len(found) // rows))
    page = min(max(1, page), pages)
    return FleetPage(
        lines=found[(page - 1) * rows : page * rows], found=len(found), page=page, pages=pages,
        total=len(alive), fine=len(alive) - needy, needy=needy, revoked=len(lines) - len(alive),
        by_kind=by_kind)


def _asked(line: NodeLine, only: str) -> bool:
    if only == "revoked" or line.node.revoked_s is not None:
        return line.node.revoked_s is not None and only in {"revoked", ""}
    if only in KINDS:
        return any(need.kind == only for need in line.needs)
    return {"needy": bool(line.needs), "fine": not line.needs}.get(only, True)


def _named(line: NodeLine, query: str) -> bool:
    return query in line.node.name.lower() or query in line.node.node_id


def _pressing(line: NodeLine) -> tuple[bool, int, int, int, str]:
    worst = _RANK[line.needs[0].kind] if line.needs else len(_RANK)
    return (line.node.revoked_s is not None, worst, -len(line.needs), -line.silent_s,
            line.node.name)


def _line(node: NodeShown, now_s: int, head: int, left_s: int) -> NodeLine:
    report, silent_s = node.report, max(0, now_s - node.seen_s)
    behind = head - report.cursor if report else None
    stale_s = None
    if report is not None and report.status_age_s is not None:
        stale_s = max(0, report.status_age_s + now_s - (node.report_s or now_s))
    needs: list[Need] = []
    if node.revoked_s is None:
        needs = [*_reach(node, now_s, silent_s, behind, stale_s), *_token(node, now_s, left_s),
                 *_said(node)]
    needs.sort(key=lambda need: _RANK[need.kind])
    return NodeLine(node, silent_s, behind, stale_s, needs)


def _reach(
    node: NodeShown, now_s: int, silent_s: int, behind: int | None, stale_s: int | None
) -> list[Need]:
    """Judge whether a node hears and is heard."""
    needs = []
    if silent_s > SEEN_S_MAX:
        needs.append(Need("silent", f"已 {_age(silent_s)[0]}没有消息",
                          f"not heard for {_age(silent_s)[1]}"))
    if node.report is None:
        if now_s - node.enrolled_s > SEEN_S_MAX:
            needs.append(Need("unreported", "还没有报告", "hasn't reported yet"))
    elif behind is not None and behind < 0:
        needs.append(Need(
            "ahead", f"持有平台没有的 {-behind} 条变更：重新登记",
            f"{-behind} changes ahead: enrol it anew"))
    elif behind and (stale_s is None or stale_s > STALE_S_MAX):
        needs.append(Need("behind", f"落后 {behind} 条变更", f"{behind} changes behind"))
    return needs


def _token(node: NodeShown, now_s: int, left_s: int) -> list[Need]:
    left = node.token_expires_s - now_s
    if left > left_s:
        return []
    if left <= 0:
        return [Need("token", f"令牌已过期 {_age(-left)[0]}", f"token ended {_age(-left)[1]} ago")]
    return [Need("token", f"令牌 {_age(left)[0]}后到期", f"token ends in {_age(left)[1]}")]


def _said(node: NodeShown) -> list[Need]:
    """Give what a node says itself."""
    report = node.report
    if report is None:
        return []
    needs = [Need("unready", problem, problem) for problem in report.problems]
    if report.unshipped > UNSHIPPED_MAX:
        needs.append(Need("unshipped", f"{report.unshipped} 条日志未上传",
                          f"{report.unshipped} records not shipped"))
    if report.scenes_unfit:
        scenes = ", ".join(report.scenes_unfit)
        needs.append(Need("unfit", f"人脸模型达不到：{scenes}", f"face pack unfit for {scenes}"))
    if report.clock != "trusted":
        needs.append(Need("clock", "时钟不可信", f"clock {report.clock}"))
    return needs


def _age(seconds: int) -> tuple[str, str]:
    """Put seconds into rough words, in Chinese and English."""
    for size, zh, en in ((DAY_S, "天", "days"), (3_600, "小时", "h"), (60, "分钟", "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {zh}", f"{seconds // size} {en}"
    return f"{seconds} 秒", f"{seconds} s"
