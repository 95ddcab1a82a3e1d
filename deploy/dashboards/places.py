"""The boards of a node, a site and a fleet."""

from deploy.dashboards.model import Board, Panel, Row, Target
from deploy.dashboards.parts import (
    HERE,
    NODES,
    RATE,
    SITE,
    SITES,
    decisions,
    quantile,
    rate,
    refusals,
    signals,
    stat,
    summed,
    times,
)

HIT = HERE.replace("}", ', result="hit"}')

NODE = Board(
    uid="kanhe-node", title="Kanhe · node", variables=(SITES, NODES),
    words="Everything of one node: answers, stages, trust, work, journal, process.",
    rows=(
        Row("Now", (
            stat("Ready", f"kanhe_ready{HERE}", unit="bool_yes_no", falling=True, bad=1),
            stat("Online", f"kanhe_online{HERE}", unit="bool_yes_no", falling=True, bad=1),
            stat("Age of status", f"kanhe_status_age_seconds{HERE}", unit="s", warn=600, bad=21600),
            stat("Days of keys", f"kanhe_key_days{HERE}", falling=True, warn=1, bad=2),
            stat("Scenes not served", f"kanhe_scenes_unfit{HERE}", bad=1),
            stat("Up for", f"kanhe_uptime_seconds{HERE}", unit="s"),
        )),
        Row("Answers", (
            decisions(), refusals(), times(),
            Panel(title="Stages, mean", unit="s", targets=(Target(
                f"sum by (stage) ({rate('kanhe_stage_seconds_sum')}) / "
                f"sum by (stage) ({rate('kanhe_stage_seconds_count')})", "{{stage}}"),)),
            Panel(title="Stages, 99 %", unit="s",
                  targets=(quantile(0.99, "kanhe_stage_seconds", "stage"),)),
            Panel(title="Stages by scene, 99 %", unit="s", targets=(Target(
                "histogram_quantile(0.99, sum by (le, scene, stage) "
                f"({rate('kanhe_stage_seconds_bucket')}))", "{{scene}} {{stage}}"),)),
            Panel(title="Calls without a verdict", unit="reqps", words="By HTTP status; 503 is no "
                  "capacity, no journal or a missed deadline.",
                  targets=(summed("kanhe_http_problems_total", "status"),)),
        )),
        Row("Trust", (
            Panel(title="Ages", unit="s", targets=(
                Target(f"kanhe_keys_age_seconds{HERE}", "keys {{instance}}"),
                Target(f"kanhe_status_age_seconds{HERE}", "status {{instance}}"))),
            Panel(title="Feed", targets=(
                Target(f"kanhe_feed_lag_changes{HERE}", "changes behind {{instance}}"),
                Target(f"kanhe_feed_failures{HERE}", "failed turns {{instance}}"))),
            Panel(title="Clock against the centre", unit="s", warn=1, bad=2, targets=(
                Target(f"kanhe_central_clock_skew_seconds{HERE}", "{{instance}}"),)),
            Panel(title="Codes whose credential is held", unit="percentunit", targets=(Target(
                f"{rate('kanhe_cache_lookups_total', HIT)} / ignoring (result) "
                f"sum without (result) ({rate('kanhe_cache_lookups_total')})",
                "{{instance}}"),)),
            Panel(title="Held of the city", targets=(
                Target(f"kanhe_cache_entries{HERE}", "{{table}} {{instance}}"),)),
            Panel(title="Store on disk", unit="bytes", targets=(
                Target(f"kanhe_cache_bytes{HERE}", "store {{instance}}"),
                Target(f"kanhe_disk_free_bytes{HERE}", "free {{instance}}"))),
        )),
        Row("Work", (
            Panel(title="Waiting", targets=(
                Target(f"kanhe_waiting{HERE}", "{{pool}} {{instance}}"),
                Target(f"kanhe_waiting_max{HERE}", "bound of {{pool}}"))),
            Panel(title="Longest wait", unit="s", warn=1, bad=2, targets=(
                Target(f"kanhe_waiting_oldest_seconds{HERE}", "{{pool}} {{instance}}"),)),
            Panel(title="Open", targets=(
                Target(f"kanhe_open_verifications{HERE}", "wait for a face"),
                Target(f"kanhe_answers_kept{HERE}", "answers kept"))),
        )),
        Row("Journal", (
            Panel(title="Records a second", unit="ops",
                  targets=(Target(f"deriv(kanhe_journal_records{HERE}{RATE})", "{{instance}}"),)),
            Panel(title="Not shipped", targets=(
                Target(f"kanhe_journal_unshipped{HERE}", "records {{instance}}"),
                Target(f"kanhe_journal_waiting{HERE}", "waiting for the disk"))),
            Panel(title="Not shipped, bytes", unit="bytes", targets=(
                Target(f"kanhe_journal_unshipped_bytes{HERE}", "{{instance}}"),)),
        )),
        Row("Process", (
            Panel(title="Cores busy", targets=(
                Target(rate("process_cpu_seconds_total"), "{{instance}}"),)),
            Panel(title="Memory", unit="bytes", targets=(
                Target(f"process_resident_memory_bytes{HERE}", "{{instance}}"),)),
            Panel(title="Open files", targets=(
                Target(f"process_open_fds{HERE}", "open"),
                Target(f"process_max_fds{HERE}", "bound"))),
            Panel(title="Versions and packs", kind="table", wide=24, targets=(
                Target(f"kanhe_build_info{HERE}"), Target(f"kanhe_face_pack_info{HERE}"))),
        )),
    ))

SITE_BOARD = Board(
    uid="kanhe-site", title="Kanhe · site", variables=(SITES,),
    words="One building: its gates, its scenes, its nodes together.",
    rows=(
        Row("Now", (
            stat("Nodes ready", f"sum by (site) (kanhe_ready{SITE})", "{{site}}", falling=True,
                 bad=1),
            stat("Answers a second", f"sum by (site) ({rate('kanhe_verifications_total', SITE)})",
                 "{{site}}", unit="reqps"),
            stat("Gates registered", f"max by (site) (kanhe_gates{SITE})", "{{site}}"),
            stat("Gates in the last hour", "count by (site) (time() - "
                 f"kanhe_gate_seen_timestamp_seconds{SITE} < 3600)", "{{site}}"),
            stat("Oldest status", f"max by (site) (kanhe_status_age_seconds{SITE})", "{{site}}",
                 unit="s", warn=600, bad=21600),
            stat("Not shipped", f"sum by (site) (kanhe_journal_unshipped{SITE})", "{{site}}",
                 warn=1000, bad=10000),
        )),
        Row("Gates and scenes", (
            Panel(title="Answers by gate", unit="reqps", wide=12, targets=(Target(
                f"sum by (label, gate) ({rate('kanhe_gate_verifications_total', SITE)} * "
                f"on (instance, gate) group_left (label) kanhe_gate_info{SITE})",
                "{{label}} ({{gate}})"),)),
            Panel(title="Since each gate's last answer", kind="table", unit="s", wide=12, targets=(
                Target(f"sort_desc((time() - kanhe_gate_seen_timestamp_seconds{SITE}) * "
                       f"on (instance, gate) group_left (label) kanhe_gate_info{SITE})"),)),
            Panel(title="Answers by scene", unit="reqps",
                  targets=(summed("kanhe_verifications_total", "scene", SITE),)),
            decisions(SITE), refusals(SITE), times(SITE),
            Panel(title="99 % by scene", unit="s",
                  targets=(quantile(0.99, "kanhe_verification_seconds", "scene", SITE),)),
            signals(SITE),
        )),
    ))

FLEET = Board(
    uid="kanhe-fleet", title="Kanhe · fleet", variables=(SITES,),
    words="All nodes, as they say themselves and as the central platform sees them.",
    rows=(
        Row("Nodes", (
            stat("Scraped", 'count(up{job="kanhe-edge"} == 1)', "nodes"),
            stat("Ready", f"sum(kanhe_ready{SITE})", "nodes"),
            stat("Offline", f"count(kanhe_online{SITE} == 0) or vector(0)", "nodes", bad=1),
            stat("Enrolled", 'kanhe_central_nodes{state="enrolled"}', "nodes"),
            stat("Revoked", 'kanhe_central_nodes{state="revoked"}', "nodes"),
            stat("Changes in the feed", "kanhe_central_feed_head", "changes"),
            Panel(title="As the centre sees them", kind="table", wide=24, targets=(Target(
                "kanhe_central_node_silent_seconds * on (node) "
                "group_left (name, version, pack) kanhe_central_node_info"),)),
            Panel(title="Silent for", unit="s", warn=90, bad=300, targets=(Target(
                "kanhe_central_node_silent_seconds * on (node) group_left (name) "
                "kanhe_central_node_info", "{{name}} {{node}}"),)),
            Panel(title="Changes behind", targets=(
                Target("kanhe_central_node_behind_changes", "{{node}}"),)),
            Panel(title="Records not shipped", targets=(
                Target("kanhe_central_node_unshipped_records", "{{node}}"),)),
        )),
        Row("Versions, trust, work", (
            Panel(title="Versions", kind="bargauge", targets=(
                Target(f"count by (version) (kanhe_build_info{SITE})", "{{version}}"),)),
            Panel(title="Face packs", kind="bargauge", targets=(
                Target(f"count by (pack) (kanhe_face_pack_info{SITE})", "{{pack}}"),)),
            Panel(title="Clocks", kind="bargauge", targets=(
                Target(f"sum by (state) (kanhe_clock_state{SITE})", "{{state}}"),)),
            Panel(title="Status age by node", unit="s", targets=(
                Target(f"topk(10, kanhe_status_age_seconds{SITE})", "{{site}} {{instance}}"),)),
            Panel(title="Slowest nodes, 99 %", unit="s", targets=(Target(
                "topk(10, histogram_quantile(0.99, sum by (le, site, instance) "
                f"({rate('kanhe_verification_seconds_bucket', SITE)})))",
                "{{site}} {{instance}}"),)),
            Panel(title="Answers by site", unit="reqps",
                  targets=(summed("kanhe_verifications_total", "site", SITE),)),
            Panel(title="Replay scope", kind="bargauge", targets=(
                Target(f"sum by (scope) (kanhe_replay_scope{SITE})", "{{scope}}"),)),
        )),
    ))
