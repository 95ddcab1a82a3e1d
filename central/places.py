"""Where nodes stand, as an administrator says; a node without a place is never asked about."""

import msgspec
from sqlalchemy import select

from central.errors import Invalid, Unknown
from central.schema import Node, Place
from central.store import Transaction


class Where(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Degrees of latitude and longitude (WGS 84)."""

    lat: float
    lon: float


def set_place(tx: Transaction, node_id: str, where: Where) -> None:
    """Say where a node stands.

    Raises:
        Unknown: There is no such node.
        Invalid: That isn't a place on Earth.
    """
    if tx.session.get(Node, node_id) is None:
        raise Unknown("there is no such node")
    if not (-90.0 <= where.lat <= 90.0 and -180.0 <= where.lon <= 180.0):
        raise Invalid("lat: -90 to 90 degrees; lon: -180 to 180 degrees")
    tx.session.merge(Place(node_id=node_id, lat=where.lat, lon=where.lon))
    tx.act("node.place", node_id, f"{where.lat:.5f}, {where.lon:.5f}")


def places_by_log(tx: Transaction) -> dict[str, Where]:
    """Give every known place by the log of the node that stands there."""
    rows = tx.session.execute(
        select(Node.journal_log, Place.lat, Place.lon).join(Place, Place.node_id == Node.id))
    return {log: Where(lat, lon) for log, lat, lon in rows}
