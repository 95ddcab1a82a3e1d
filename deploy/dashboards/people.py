"""The boards of the person on call, and of the city."""

from deploy.dashboards.model import Board, Panel, Row, Target
from deploy.dashboards.parts import RATE, SITE, SITES, decisions, rate, stat, times

ON_CALL = Board(
    uid="kanhe-oncall", title="Kanhe · on call", variables=(SITES,),
    words="Is it me, the network, a gate, the clock, the centre? Read the rows from the top; "
          "the first that isn't green is where to begin. Alerts name entries of docs/runbook.md.",
    rows=(
        Row("Is it the node?", (
            stat("Scraped", 'up{job="kanhe-edge", site=~"$site"}', unit="bool_yes_no",
                 falling=True, bad=1),
            stat("Ready", f"kanhe_ready{SITE}", unit="bool_yes_no", falling=True, bad=1),
            stat("Restarts in an hour", f"changes(process_start_time_seconds{SITE}[1h])", warn=1,
                 bad=3),
            stat("503 a second", 'sum by (instance) (rate(kanhe_http_problems_total{site=~"$site", '
                 f'status="503"}}{RATE}))', unit="reqps", warn=0.01, bad=0.1),
            stat("Longest wait", f"max by (instance) (kanhe_waiting_oldest_seconds{SITE})",
                 unit="s", warn=1, bad=2),
            stat("Journal failing", f"kanhe_journal_failing{SITE}", unit="bool_yes_no", bad=1),
            times(SITE), decisions(SITE),
            Panel(title="Cores busy", targets=(
                Target(rate("process_cpu_seconds_total", SITE), "{{job}} {{instance}}"),)),
        )),
        Row("Is it the network?", (
            stat("Online", f"kanhe_online{SITE}", unit="bool_yes_no", falling=True, bad=1),
            stat("Last word from the centre", f"kanhe_feed_contact_age_seconds{SITE}", unit="s",
                 warn=90, bad=300),
            stat("Failed turns", f"kanhe_feed_failures{SITE}", warn=1, bad=5),
            stat("Changes behind", f"kanhe_feed_lag_changes{SITE}", warn=1, bad=1000),
            stat("Records not shipped", f"kanhe_journal_unshipped{SITE}", warn=1000, bad=10000),
            stat("Log differs", f"kanhe_journal_diverged{SITE}", unit="bool_yes_no", bad=1),
        )),
        Row("Is it a gate?", (
            Panel(title="Since each gate's last answer", kind="table", unit="s", wide=12, targets=(
                Target(f"sort_desc((time() - kanhe_gate_seen_timestamp_seconds{SITE}) * "
                       f"on (instance, gate) group_left (label) kanhe_gate_info{SITE})"),)),
            Panel(title="What gates can't read", unit="reqps", wide=12,
                  words="Unreadable codes and unfit faces: dirt, light, focus, a moved camera.",
                  targets=(Target(
                      "sum by (scene, reason) (rate(kanhe_verifications_total{site=~\"$site\", "
                      f'decision="retry"}}{RATE}))', "{{scene}} {{reason}}"),)),
            Panel(title="Calls beyond a gate's rate", unit="reqps", wide=24, warn=1, bad=100,
                  words="One gate that floods: broken software, or somebody who has its "
                        "credential. Others aren't slowed down by it.",
                  targets=(Target(
                      f"sum by (label, gate) ({rate('kanhe_gate_refused_total', SITE)} * "
                      f"on (instance, gate) group_left (label) kanhe_gate_info{SITE}) or "
                      'label_replace(label_replace(vector(0), "label", "no gate", "", ""), '
                      '"gate", "-", "", "")', "{{label}} ({{gate}})"),)),
        )),
        Row("Is it the clock?", (
            stat("Clock trusted", 'kanhe_clock_state{site=~"$site", state="trusted"}',
                 unit="bool_yes_no", falling=True, bad=1),
            stat("Against the centre", f"kanhe_central_clock_skew_seconds{SITE}", unit="s"),
            Panel(title="Codes too late or too early", unit="reqps", wide=16, words="Many at every "
                  "gate at once: the node's clock. At one gate: its users, or a phone.",
                  targets=(Target(
                      "sum by (reason) (rate(kanhe_verifications_total{site=~\"$site\", "
                      f'reason=~"step_expired|step_future|clock_untrusted"}}{RATE})) or '
                      'label_replace(vector(0), "reason", "none", "", "")', "{{reason}}"),)),
        )),
        Row("Is it the centre?", (
            stat("Scraped", 'up{job="kanhe-central"}', unit="bool_yes_no", falling=True, bad=1),
            stat("Errors a second", 'sum(rate(kanhe_central_calls_total{status=~"5.."}'
                 f"{RATE})) or vector(0)", "5xx", unit="reqps", warn=0.01, bad=0.1),
            stat("Nodes silent", "count(kanhe_central_node_silent_seconds > 90) or vector(0)",
                 "nodes", warn=1, bad=3),
            stat("Uploads refused", "increase(kanhe_central_conflicts_total[1h])", "", warn=1,
                 bad=3),
            Panel(title="Calls to the centre, 99 %", unit="s", targets=(Target(
                "histogram_quantile(0.99, sum by (le, route) "
                f'(rate(kanhe_central_call_seconds_bucket{{route!="/v1/feed"}}{RATE})))',
                "{{route}}"),)),
        )),
        Row("Firing now", (
            Panel(title="Alerts", kind="table", wide=24, words="Runbook: docs/runbook.md.",
                  targets=(Target('ALERTS{alertstate="firing"} or vector(0)'),)),
        )),
    ))

_CENTRAL = "kanhe_central_verifications_total"
CITY = Board(
    uid="kanhe-city", title="Kanhe · city",
    words="What the city does with it: counted at the central platform from the journals, so "
          "sites that nobody scrapes are in it, and nodes that were offline come in late.",
    rows=(
        Row("Today", (
            stat("Verifications in 24 h", f"sum(increase({_CENTRAL}[24h]))", "", wide=6),
            stat("Accepted", f'sum(increase({_CENTRAL}{{decision="accept"}}[24h])) / '
                 f"sum(increase({_CENTRAL}[24h]))", "", unit="percentunit", wide=6),
            stat("Nodes", 'kanhe_central_nodes{state="enrolled"}', "", wide=6),
            stat("Signals in 24 h", "sum(increase(kanhe_central_signals_total[24h]))", "", wide=6,
                 warn=1, bad=20),
        )),
        Row("Verifications", (
            Panel(title="By scene", unit="reqps", wide=12, targets=(
                Target(f"sum by (scene) (rate({_CENTRAL}{RATE}))", "{{scene}}"),)),
            Panel(title="By decision", unit="reqps", wide=12, targets=(
                Target(f"sum by (decision) (rate({_CENTRAL}{RATE}))", "{{decision}}"),)),
            Panel(title="Refusals by reason", unit="reqps", wide=12, targets=(Target(
                f'sum by (reason) (rate({_CENTRAL}{{decision=~"reject|refer"}}{RATE}))',
                "{{reason}}"),)),
            Panel(title="Refusals by scene", unit="percentunit", wide=12, targets=(Target(
                f'sum by (scene) (rate({_CENTRAL}{{decision="reject"}}{RATE})) / '
                f"sum by (scene) (rate({_CENTRAL}{RATE}))", "{{scene}}"),)),
        )),
        Row("Attack signals", (
            Panel(title="Signals", wide=12, targets=(Target(
                "sum by (signal) (increase(kanhe_central_signals_total[1h]))", "{{signal}}"),)),
            Panel(title="Replays, forged codes, wrong faces", unit="reqps", wide=12, targets=(
                Target(f'sum by (reason) (rate({_CENTRAL}{{reason=~"presentation_replayed|'
                       f'mac_mismatch|no_match|attack_detected"}}{RATE}))', "{{reason}}"),)),
            Panel(title="How late codes were that came too late", kind="bargauge", wide=12,
                  unit="s", targets=(Target(
                      "histogram_quantile(0.5, sum by (le, site) "
                      "(increase(kanhe_code_late_seconds_bucket[1h]))) >= 0 or vector(0)",
                      "median {{site}}"),)),
            Panel(title="Journal records", unit="ops", wide=12, targets=(Target(
                f"sum by (kind) (rate(kanhe_central_records_total{RATE}))", "{{kind}}"),)),
        )),
    ))
