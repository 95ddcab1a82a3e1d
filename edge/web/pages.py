"""The node's status page: plain HTML, no script, readable on a phone.

- Everything shown is escaped; nothing of a holder is on it.
"""

from html import escape

from edge.web.status import NodeStatus

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#5a6572;--line:#d9dee4;--paper:#fff;
--wash:#f5f7f9;--good:#12663b;--bad:#9b1c1c}
@media(prefers-color-scheme:dark){:root{--ink:#e8ecf1;--soft:#9aa7b5;--line:#313943;--paper:#161a1f;
--wash:#1d232a;--good:#6fd39c;--bad:#ff9d9d}}
body{margin:0;background:var(--wash);color:var(--ink);
font:16px/1.5 system-ui,"PingFang SC","Noto Sans CJK SC","Microsoft YaHei",sans-serif}
main{max-width:52rem;margin:0 auto;padding:2rem 1rem}
h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1rem;margin:2rem 0 .5rem;color:var(--soft)}
.state{font-size:1.25rem;font-weight:600}.good{color:var(--good)}.bad{color:var(--bad)}
dl{display:grid;grid-template-columns:minmax(9rem,14rem) 1fr;margin:0;background:var(--paper);
border:1px solid var(--line);border-radius:.5rem;overflow:hidden}
dt,dd{margin:0;padding:.5rem .9rem;border-top:1px solid var(--line)}
dt{color:var(--soft)}dt:first-of-type,dt:first-of-type+dd{border-top:0}
dd{overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
a{color:inherit}p.note{color:var(--soft)}
"""


def status_page(status: NodeStatus) -> str:
    """Give the page of a node's status."""
    ready = status.ready
    sign, tone = ("✓", "good") if ready else ("✗", "bad")
    word = "就绪 ready" if ready else "未就绪 not ready"
    reasons = "".join(f"<p class='bad'>{escape(item)}</p>" for item in status.not_ready)
    return (
        "<!doctype html><html lang='zh'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width,initial-scale=1'>"
        "<meta http-equiv='refresh' content='5'><title>勘合 Kanhe</title>"
        f"<style>{_STYLE}</style></head><body><main><h1>勘合 Kanhe</h1>"
        f"<p class='state {tone}'>{sign} {word}</p>{reasons}{_lists(status)}"
        f"<p class='note'>{escape(status.pack.notes.zh)}<br>{escape(status.pack.notes.en)}</p>"
        "<p><a href='/openapi.json'>/openapi.json</a> · <a href='/metrics'>/metrics</a> · "
        "<a href='/livez'>/livez</a> · <a href='/readyz'>/readyz</a></p></main></body></html>"
    )


def _lists(status: NodeStatus) -> str:
    trust = {
        "连接 mode": status.mode,
        "时钟 clock": status.clock,
        "密钥 keys": _age(status.keys_age_s),
        "状态 status": _age(status.status_age_s),
        "密钥日 key epochs": ", ".join(map(str, status.key_epochs)) or "—",
        "防重放 replay scope": status.replay_scope,
    }
    work = {
        "节点 node": status.node_id or "—",
        "版本 version": status.version,
        "场景 scenes": ", ".join(status.scenes) or "—",
        "模型不足 pack unfit for": ", ".join(status.scenes_unfit) or "—",
        "人脸模型 face pack": f"{status.pack.id} ({status.pack.embedder}), {status.pack.licence}",
        "持有 held": ", ".join(f"{name} {count}" for name, count in status.held.items()),
        "排队 waiting": ", ".join(f"{name} {count}" for name, count in status.waiting.items()),
        "日志 journal": ", ".join(f"{k} {v}" for k, v in status.journal.items() if v != ""),
        "运行 uptime": f"{status.uptime_s} s",
    }
    return _list("信任 Trust", trust) + _list("工作 Work", work)


def _list(title: str, rows: dict[str, str]) -> str:
    cells = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows.items()
    )
    return f"<h2>{escape(title)}</h2><dl>{cells}</dl>"


def _age(seconds: int | None) -> str:
    return "—" if seconds is None else f"{seconds} s"
