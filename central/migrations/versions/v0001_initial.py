"""The tables as they were before there were migrations.

- A database of that time is taken over as it is; tables that its version didn't know yet are made.
"""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

revision = "0001"
down_revision = None
metadata = MetaData()


def _hash(name: str, **more: bool) -> Column[bytes]:
    return Column(name, LargeBinary(32), nullable=False, **more)  # type: ignore[arg-type]


def _bytes(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


def _id(name: str, **more: bool) -> Column[bytes]:
    return Column(name, LargeBinary(16), nullable=False, **more)  # type: ignore[arg-type]


def _text(name: str, chars: int, **more: bool) -> Column[str]:
    return Column(name, String(chars), nullable=False, **more)  # type: ignore[arg-type]


def _number(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


Table("counters", metadata, _text("name", 32, primary_key=True), _number("value"))
Table(
    "holders", metadata, _id("id", primary_key=True), _text("kind", 16),
    _hash("number_hash", unique=True), _hash("name_hash", index=True), _bytes("sealed"),
    _number("created_s"))
Table(
    "photographs", metadata, _id("holder_id", primary_key=True),
    _text("pack", 64, primary_key=True), _bytes("image"), _bytes("template"),
    _text("quality", 32), _number("created_s"))
Table(
    "consents", metadata, Column("number", Integer, primary_key=True, autoincrement=True),
    _id("holder_id", index=True), _text("purpose", 32),
    Column("given", Boolean, nullable=False), _number("at_s"), _text("how", 200))
Table(
    "credentials", metadata, _id("id", primary_key=True), _id("holder_id", index=True),
    _text("type", 64), _number("valid_from_s"), _number("valid_until_s", nullable=True),
    _bytes("sealed"), _text("status", 16), _number("status_changed_s"), _number("updated_s"))
Table(
    "changes", metadata, Column("number", BigInteger, primary_key=True, autoincrement=False),
    _bytes("sealed"))
Table(
    "key_epochs", metadata, Column("key_epoch", Integer, primary_key=True, autoincrement=False),
    _bytes("sealed"))
Table(
    "policies", metadata, _text("scene", 64, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False), _bytes("body"),
    _number("changed_s"))
Table(
    "codes", metadata, _hash("hash", primary_key=True), _text("purpose", 16), _bytes("subject"),
    _number("expires_s"), Column("used_by", LargeBinary))
Table(
    "nodes", metadata, _text("id", 32, primary_key=True), _text("name", 64),
    _hash("token_hash", unique=True), _hash("sign_public"), _hash("seal_public"),
    _text("journal_log", 32, unique=True), _number("enrolled_s"), _number("seen_s"),
    _number("revoked_s", nullable=True), _bytes("report"), _number("report_s", nullable=True))
Table(
    "accounts", metadata, _text("name", 32, primary_key=True), _text("role", 16),
    _text("password_hash", 200), Column("generation", Integer, nullable=False),
    Column("disabled", Boolean, nullable=False))
Table(
    "gates", metadata, _text("id", 32, primary_key=True), _bytes("body"), _number("created_s"))
Table(
    "wallets", metadata, _hash("token_hash", primary_key=True), _id("holder_id", index=True),
    _number("paired_s"))
_journal = Table(
    "journal", metadata, _text("log", 32, primary_key=True),
    Column("index", BigInteger, primary_key=True, autoincrement=False), _hash("leaf"),
    _bytes("record"), _number("taken_s"), _number("at_ms"), _text("decision", 16),
    _text("reason", 32), _text("scene", 64), _text("gate_id", 32),
    _text("verification_id", 32, index=True), Column("credential_id", LargeBinary(16)))
Table(
    "acts", metadata, Column("number", Integer, primary_key=True, autoincrement=True),
    _number("at_s"), _text("who", 64), _text("act", 64), _text("subject", 128),
    _text("reason", 400))
Index("journal_taken", _journal.c.taken_s)
Index("journal_at", _journal.c.at_ms)
for _name in ("decision", "reason", "scene", "gate_id", "credential_id"):
    Index(f"journal_{_name}", _journal.c[_name], _journal.c.at_ms)


def upgrade() -> None:
    """Make what isn't there."""
    metadata.create_all(op.get_bind(), checkfirst=True)
