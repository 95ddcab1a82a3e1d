"""What is read of a node when it is scraped: one table, by subject.

- Every value comes from a running part at that moment; nothing is kept or computed ahead.
- Label values are words of this program, or ids and labels that the central platform signed.
"""

import shutil
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from edge.cache.site.circuit import STATES, State
from edge.hotpath.trust import Trust
from edge.metrics import Reading, SpreadReading, reading
from edge.protocol.kh1 import key_epoch_of, step_at
from edge.report import Report
from edge.sync.status import SyncStatus, sync_status
from edge.tally import GATES_MAX, Spread

if TYPE_CHECKING:  # redis-py is only loaded where there is a Redis
    from edge.cache.site.site import Site

HOLDING_MODES = ("all", "region", "arrivals", "demand")
CLOCK_STATES = ("trusted", "degraded", "untrusted")
REPLAY_SCOPES = ("node", "site")
_Samples = list[tuple[tuple[str, ...], float]]
Counted = Mapping[str, int] | Mapping[State, int]


def readings(report: Report) -> list[Reading | SpreadReading]:
    """Give the table for a node."""
    return [*_of_node(report), *_of_trust(report), *_of_work(report), *_of_journal(report),
            *_of_site(report)]


def _of_node(report: Report) -> list[Reading]:
    def pack() -> _Samples:
        return [((report.face.pack_id, report.face.embedder_file), 1.0)]

    def gates() -> _Samples:
        known = sorted(report.trust().gates.values(), key=lambda gate: gate.gate_id)
        return [((gate.gate_id, gate.label[:80]), 1.0) for gate in known[:GATES_MAX]]

    return [
        reading("kanhe_ready", "1 if the node verifies.", lambda: report.ready),
        reading("kanhe_uptime_seconds", "Since the node was started.",
                lambda: time.monotonic() - report.started_s),
        Reading("kanhe_processes", "Processes of the node that are to serve, and that do.",
                ("state",), lambda: [((state,), float(report.processes[state]))
                                     for state in ("wanted", "serving")]),
        reading("kanhe_process_restarts", "How often one of them was started again.",
                lambda: report.processes["restarts"]),
        reading("kanhe_disk_free_bytes", "Free on the disk of the data folder.",
                lambda: shutil.disk_usage(report.folder).free),
        Reading("kanhe_face_pack_info", "The face pack in use.", ("pack", "embedder"), pack),
        Reading("kanhe_gate_info", f"Gates that may speak here, {GATES_MAX} at most.",
                ("gate", "label"), gates),
        reading("kanhe_gates", "How many gates may speak here.",
                lambda: len(report.trust().gates)),
        reading("kanhe_scenes", "Scenes with a policy.", lambda: len(report.trust().policies)),
        reading("kanhe_scenes_unfit", "Scenes of gates here that the face pack can't serve.",
                lambda: len(report.scenes_unfit())),
        reading("kanhe_faces_held", "Holders whose face is held.", lambda: report.store.faces),
        reading("kanhe_references_generation", "Generation of the references.",
                lambda: report.store.generation),
        reading("kanhe_gallery_references", "References that may be searched.",
                lambda: len(report.gallery)),
        reading("kanhe_gallery_bytes", "Bytes of the gallery, mapped into memory.",
                lambda: report.gallery.bytes_used),
        reading("kanhe_gallery_searches", "Searches of the gallery since the start.",
                lambda: report.gallery.searches),
        reading("kanhe_gallery_search_seconds", "Seconds of those searches together.",
                lambda: report.gallery.search_s),
        reading("kanhe_cohort_identities", "Identities that scores are held against.",
                lambda: report.rates.identities),
    ]


def _of_trust(report: Report) -> list[Reading]:
    def trust() -> Trust:
        return report.trust()

    def sync() -> SyncStatus:
        return sync_status(report.follower, report.shipper)

    def contact_age_s() -> float | None:
        at = sync().last_contact_s
        return None if at is None else max(0.0, report.clock.now_s() - at)

    def days_ahead() -> float:
        today = key_epoch_of(step_at(report.clock.now_s()))
        return sum(day >= today for day in trust().keys.key_epochs)

    return [
        reading("kanhe_online", "1 if the central platform is in reach.",
                lambda: trust().mode == "online"),
        reading("kanhe_keys_age_seconds", "Age of the keys.",
                lambda: trust().keys_age_s(report.clock.now_s())),
        reading("kanhe_status_age_seconds", "Age of the status of credentials.",
                lambda: trust().status_age_s(report.clock.now_s())),
        reading("kanhe_status_lists", "Status lists held.", lambda: len(trust().lists)),
        reading("kanhe_status_lists_age_seconds", "Age of the oldest status list.",
                lambda: report.follower.lists.age_s(report.clock.now_s())),
        reading("kanhe_key_days", "Days from today on whose keys are held.", days_ahead),
        reading("kanhe_keys_left_seconds", "Until the keys that are held end.",
                lambda: report.vigil.keys.left_s),
        reading("kanhe_feed_lag_changes", "Changes that are known of and not held yet.",
                lambda: sync().lag),
        reading("kanhe_feed_failures", "Failed turns of the feed in a row.",
                lambda: sync().failures),
        reading("kanhe_feed_contact_age_seconds", "Since the last believed answer.",
                contact_age_s),
        Reading("kanhe_clock_state", "1 for how far the clock can be believed.", ("state",),
                lambda: _one_of(CLOCK_STATES, report.clock.state)),
        reading("kanhe_central_clock_skew_seconds", "Central platform's clock minus ours.",
                lambda: trust().central_clock_skew_s),
        Reading("kanhe_replay_scope", "1 for how far the replay guard reaches.", ("scope",),
                lambda: _one_of(REPLAY_SCOPES, report.site.memory.scope if report.site
                                else report.guard.scope)),
    ]


def _of_work(report: Report) -> list[Reading]:
    pools = {"codes": report.code_pool, "faces": report.face_pool}
    return [
        Reading("kanhe_waiting", "Work that waits for a thread.", ("pool",),
                lambda: [((name,), pool.waiting) for name, pool in pools.items()]),
        Reading("kanhe_waiting_max", "How much may wait.", ("pool",),
                lambda: [((name,), pool.waiting_max) for name, pool in pools.items()]),
        Reading("kanhe_waiting_oldest_seconds", "How long the first has waited.", ("pool",),
                lambda: [((name,), pool.oldest_s) for name, pool in pools.items()]),
        reading("kanhe_open_verifications", "Verifications that wait for a face.",
                lambda: len(report.verifier.open)),
        reading("kanhe_open_challenges", "Challenges that wait for an answer.",
                lambda: len(report.verifier.challenges)),
        reading("kanhe_answers_kept", "Answers kept for a repeated request.",
                lambda: len(report.verifier.answers)),
        Reading("kanhe_cache_entries", "What the node holds of the city.", ("table",),
                lambda: [((name,), count) for name, count in report.store.counts().items()]),
        Reading("kanhe_holding_mode", "1 for what the node holds.", ("mode",),
                lambda: _one_of(HOLDING_MODES, report.holding.shown.mode)),
        reading("kanhe_holding_entries", "Credentials that are held until an end.",
                lambda: report.holding.shown.entries),
        reading("kanhe_holding_entries_max", "How many may be.",
                lambda: report.holding.shown.entries_max),
        reading("kanhe_holding_oldest_seconds", "Since the one held longest came.",
                lambda: report.holding.shown.oldest_age_s),
        reading("kanhe_cache_bytes", "What that takes on the disk.",
                lambda: report.store.bytes_used),
    ]


def _of_journal(report: Report) -> list[Reading]:
    journal = report.journal
    return [
        reading("kanhe_journal_records", "Durable records.", lambda: journal.size),
        reading("kanhe_journal_waiting", "Records that wait for the disk.",
                lambda: journal.waiting),
        reading("kanhe_journal_unshipped", "Records that the central platform may not hold.",
                lambda: journal.size - journal.acknowledged),
        reading("kanhe_journal_unshipped_bytes", "About how many bytes those are.",
                lambda: journal.unshipped_bytes),
        reading("kanhe_journal_failing", "1 if the last write failed.",
                lambda: bool(journal.failure)),
        reading("kanhe_journal_accepting", "1 if a record can be promised now.",
                lambda: journal.accepting),
        reading("kanhe_journal_uncountersigned",
                "Records that no counter-signed checkpoint covers.",
                lambda: journal.size - journal.countersigned),
        reading("kanhe_journal_bytes", "Bytes of the journal's segments.",
                lambda: journal.disk_bytes),
        reading("kanhe_journal_disk_free_bytes", "Bytes free on the journal's disk.",
                lambda: journal.disk_free_bytes),
        reading("kanhe_journal_diverged", "1 if the central platform holds other records.",
                lambda: report.shipper.status.state == "diverged"),
    ]


def _of_site(report: Report) -> list[Reading | SpreadReading]:
    """Give what is shared with the site's other nodes; nothing is counted without a Redis."""
    site = report.site

    def counted(name: str, help_: str, label: str, read: Callable[["Site"], Counted]) -> Reading:
        return Reading(name, help_, (label,) if label else (), lambda: [
            ((word,) if label else (), float(count))
            for word, count in (read(site) if site is not None else {}).items()], grows=True)

    return [
        Reading("kanhe_site_state", "1 for how the memory of the site is.", ("state",),
                lambda: _one_of(("off", *STATES), site.memory.state if site else "off")),
        reading("kanhe_site_alone", "Credentials spent alone that aren't merged yet.",
                lambda: site.memory.alone if site else None),
        counted("kanhe_site_spends", "Codes by how far they were spent.", "result",
                lambda site: site.memory.counts.spends),
        counted("kanhe_site_faults", "What kept Redis from being used.", "state",
                lambda site: site.memory.counts.faults),
        counted("kanhe_site_merged", "What was spent alone and brought to the site.", "",
                lambda site: {"": site.memory.counts.merged}),
        counted("kanhe_site_spent_twice", "Codes spent at two nodes while apart.", "",
                lambda site: {"": site.memory.counts.twice}),
        counted("kanhe_site_answers", "Shared answers.", "result", lambda site: {
            "found": site.answers.found, "kept": site.answers.kept,
            "left_out": site.answers.left_out}),
        counted("kanhe_site_wakes", "Wake-ups between the site's nodes.", "way",
                lambda site: {"told": site.wakes.told, "heard": site.wakes.heard}),
        SpreadReading("kanhe_site_call_seconds", "How long verdicts waited for Redis.",
                      lambda: site.memory.counts.seconds if site else Spread()),
    ]


def _one_of(words: tuple[str, ...], now: str) -> _Samples:
    return [((word,), float(word == now)) for word in words]
