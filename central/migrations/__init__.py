"""Migrations of the database: Alembic's, numbered, each also the way back where there is one.

- A migration says with its own words what the tables were and become; it never imports
  `central.schema`, which goes on changing.
- A test holds the sum of all migrations against `central.schema`.
"""

HEAD = "0007"
"""The schema that `central.schema` describes."""
KNOWN = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")
"""Every schema that this version can bring up or take back to, the oldest first."""
