"""Signals that only the central platform can see: one credential at two far points.

- Two showings of one credential are compared by place and time, whichever came in first, so that a
  node that was offline for a day is asked about that day.
- Both places must be known, and clocks may be off by `SLACK_S`; below `KM_MIN` nothing is said.
- Nothing is remembered in memory: the journal is asked, by its index, once for some records.
- At most one signal a credential and `ACTS_MAX` an upload; each is an act of the platform.
"""

import math
from collections.abc import Sequence

import msgspec
from sqlalchemy import select

from central.places import Where, places_by_log
from central.schema import JournalEntry
from central.store import Transaction
from edge.protocol.journal import JournalRecord, VerificationRecord

FAR_APART = "far_apart"
KMH_MAX = 1_000.0
"""Faster than an airliner."""
KM_MIN = 5.0
SLACK_S = 30.0
LOOK_S = 12 * 3_600.0
"""How far before and after a showing others are looked for: half the Earth at `KMH_MAX` is more,
but who travels so far isn't seen twice by accident."""
IDS_MAX, ROWS_MAX, ACTS_MAX = 500, 5_000, 20
EARTH_KM = 6_371.0
PLATFORM = "platform"


class Journey(msgspec.Struct, frozen=True):
    """What would have had to be travelled."""

    credential_id: str
    km: float
    seconds: float
    verification_ids: tuple[str, str]


class _Shown(msgspec.Struct, frozen=True):
    at_ms: int
    log: str
    verification_id: str


def far_apart(tx: Transaction, log: str, records: Sequence[JournalRecord]) -> list[Journey]:
    """Find journeys that nobody makes among records just taken in, and note them as acts."""
    places = places_by_log(tx)
    if log not in places or len(places) < 2:
        return []
    fresh: dict[bytes, list[_Shown]] = {}
    for record in records:
        if isinstance(record, VerificationRecord) and record.credential_id is not None and (
            record.kind == "verification"
        ):
            fresh.setdefault(record.credential_id, []).append(
                _Shown(record.at_ms, log, record.verification_id))
    found: list[Journey] = []
    ids = list(fresh)
    for start in range(0, len(ids), IDS_MAX):
        some = {key: fresh[key] for key in ids[start : start + IDS_MAX]}
        others = _elsewhere(tx, log, some)
        found += [journey for key, shown in some.items()
                  if (journey := _worst(key, shown, others.get(key, []), places)) is not None]
    for journey in found[:ACTS_MAX]:
        tx.act(f"signal.{FAR_APART}", journey.credential_id, who=PLATFORM, reason=(
            f"{journey.km:.0f} km in {journey.seconds:.0f} s: verifications "
            f"{' and '.join(journey.verification_ids)}"))
    return found


def kilometres(here: Where, there: Where) -> float:
    """Give the distance along a great circle (haversine)."""
    lat1, lat2 = math.radians(here.lat), math.radians(there.lat)
    lon = math.radians(there.lon - here.lon)
    half = math.sin((lat2 - lat1) / 2) ** 2
    half += math.cos(lat1) * math.cos(lat2) * math.sin(lon / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(half)))


def _elsewhere(
    tx: Transaction, log: str, fresh: dict[bytes, list[_Shown]]
) -> dict[bytes, list[_Shown]]:
    """Give showings of these credentials at other nodes, around the same time."""
    times = [shown.at_ms for some in fresh.values() for shown in some]
    if not times:
        return {}
    rows = tx.session.execute(
        select(JournalEntry.credential_id, JournalEntry.at_ms, JournalEntry.log,
               JournalEntry.verification_id)
        .where(JournalEntry.credential_id.in_(fresh), JournalEntry.log != log,
               JournalEntry.at_ms.between(min(times) - LOOK_S * 1e3, max(times) + LOOK_S * 1e3))
        .order_by(JournalEntry.at_ms.desc()).limit(ROWS_MAX))
    others: dict[bytes, list[_Shown]] = {}
    for credential_id, at_ms, other, verification_id in rows:
        assert credential_id is not None
        others.setdefault(credential_id, []).append(_Shown(at_ms, other, verification_id))
    return others


def _worst(
    credential_id: bytes, fresh: list[_Shown], others: list[_Shown], places: dict[str, Where]
) -> Journey | None:
    """Give the fastest journey beyond the limit, None if there is none."""
    worst, fastest = None, KMH_MAX
    for shown in fresh:
        for other in others:
            if other.log not in places:
                continue
            km = kilometres(places[shown.log], places[other.log])
            seconds = abs(shown.at_ms - other.at_ms) / 1e3
            kmh = km / max(1.0, seconds - SLACK_S) * 3_600
            if km >= KM_MIN and kmh > fastest:
                fastest = kmh
                worst = Journey(credential_id.hex(), km, seconds,
                                (other.verification_id, shown.verification_id))
    return worst
