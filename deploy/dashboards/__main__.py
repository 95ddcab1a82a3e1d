"""Writes every board to `deploy/grafana/dashboards`."""

from pathlib import Path

from deploy.dashboards.model import Board, render
from deploy.dashboards.people import CITY, ON_CALL
from deploy.dashboards.places import FLEET, NODE, SITE_BOARD

BOARDS: tuple[Board, ...] = (ON_CALL, NODE, SITE_BOARD, FLEET, CITY)
FOLDER = Path(__file__).resolve().parents[1] / "grafana" / "dashboards"


def generated() -> dict[Path, bytes]:
    """Give every file with its content."""
    return {FOLDER / f"{board.uid}.json": render(board) for board in BOARDS}


if __name__ == "__main__":
    for path, data in generated().items():
        path.write_bytes(data)
