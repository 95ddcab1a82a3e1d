"""The platform's tables: portable types, personal data and keys sealed.

- Times are Unix seconds; ids 16 bytes; a `sealed` column opens only with `platform.key`.
- `counters` gives gapless numbers: its row is locked by whoever increments it, on every
  database.
"""

from sqlalchemy import BigInteger, Double, Index, Integer, LargeBinary, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Id = LargeBinary(16)


class Base(DeclarativeBase):
    """Base of all tables."""


class Counter(Base):
    """A gapless counter."""

    __tablename__ = "counters"
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)


class Fact(Base):
    """Something small that is so for the whole database."""

    __tablename__ = "facts"
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[bytes] = mapped_column(LargeBinary)


class Mark(Base):
    """A transaction on PostgreSQL that wrote, for some minutes: was it committed?"""

    __tablename__ = "marks"
    id: Mapped[bytes] = mapped_column(Id, primary_key=True)
    at_s: Mapped[int] = mapped_column(BigInteger, index=True)


class Holder(Base):
    """A person or an organisation; keyed hashes find one by the exact number or name.

    `region` is the issuer's code for where the holder belongs; empty = none is known.
    """

    __tablename__ = "holders"
    id: Mapped[bytes] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    number_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    name_hash: Mapped[bytes] = mapped_column(LargeBinary(32), index=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_s: Mapped[int] = mapped_column(BigInteger)
    region: Mapped[str] = mapped_column(String(16), server_default="")


class Photograph(Base):
    """The enrolment photograph of a holder and the reference made of it, both sealed."""

    __tablename__ = "photographs"
    holder_id: Mapped[bytes] = mapped_column(Id, primary_key=True)
    pack: Mapped[str] = mapped_column(String(64), primary_key=True)
    image: Mapped[bytes] = mapped_column(LargeBinary)
    template: Mapped[bytes] = mapped_column(LargeBinary)
    quality: Mapped[str] = mapped_column(String(32))
    created_s: Mapped[int] = mapped_column(BigInteger)


class Consent(Base):
    """What a holder agreed to, by purpose; the latest row of a purpose counts."""

    __tablename__ = "consents"
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    holder_id: Mapped[bytes] = mapped_column(Id, index=True)
    purpose: Mapped[str] = mapped_column(String(32))
    given: Mapped[bool] = mapped_column()
    at_s: Mapped[int] = mapped_column(BigInteger)
    how: Mapped[str] = mapped_column(String(200))


class Credential(Base):
    """A credential granted; fields sealed."""

    __tablename__ = "credentials"
    id: Mapped[bytes] = mapped_column(Id, primary_key=True)
    holder_id: Mapped[bytes] = mapped_column(Id, index=True)
    type: Mapped[str] = mapped_column(String(64))
    valid_from_s: Mapped[int] = mapped_column(BigInteger)
    valid_until_s: Mapped[int | None] = mapped_column(BigInteger)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[str] = mapped_column(String(16))
    status_changed_s: Mapped[int] = mapped_column(BigInteger)
    updated_s: Mapped[int] = mapped_column(BigInteger)


class FeedChange(Base):
    """One change of the feed, sealed; numbered from 0 without gaps."""

    __tablename__ = "changes"
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class KeyEpoch(Base):
    """The secrets of one key epoch, sealed."""

    __tablename__ = "key_epochs"
    key_epoch: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class Policy(Base):
    """One version of a scene's policy; the highest is in force."""

    __tablename__ = "policies"
    scene: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    changed_s: Mapped[int] = mapped_column(BigInteger)


class Code(Base):
    """A one-time code (hashed): `node` or `wallet`, for whom, until when, used by whom."""

    __tablename__ = "codes"
    hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(16))
    subject: Mapped[bytes] = mapped_column(LargeBinary)
    expires_s: Mapped[int] = mapped_column(BigInteger)
    used_by: Mapped[bytes | None] = mapped_column(LargeBinary)


class Node(Base):
    """An enrolled node; its token is kept hashed.

    `token_before_hash` is the token before the last rotation, until the new one was used.
    """

    __tablename__ = "nodes"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    sign_public: Mapped[bytes] = mapped_column(LargeBinary(32))
    seal_public: Mapped[bytes] = mapped_column(LargeBinary)
    journal_log: Mapped[str] = mapped_column(String(32), unique=True)
    enrolled_s: Mapped[int] = mapped_column(BigInteger)
    seen_s: Mapped[int] = mapped_column(BigInteger)
    revoked_s: Mapped[int | None] = mapped_column(BigInteger)
    report: Mapped[bytes] = mapped_column(LargeBinary, default=b"")
    report_s: Mapped[int | None] = mapped_column(BigInteger, default=None)
    token_expires_s: Mapped[int] = mapped_column(BigInteger, server_default="0")
    token_before_hash: Mapped[bytes | None] = mapped_column(
        LargeBinary(32), index=True, default=None)
    token_rotated_ms: Mapped[int] = mapped_column(BigInteger, server_default="0")


class Place(Base):
    """Where a node stands, in degrees; a table of its own, so that older databases gain it."""

    __tablename__ = "places"
    node_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    lat: Mapped[float] = mapped_column(Double)
    lon: Mapped[float] = mapped_column(Double)


class Account(Base):
    """Somebody who signs in; the password is hashed."""

    __tablename__ = "accounts"
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str] = mapped_column(String(200))
    generation: Mapped[int] = mapped_column(Integer)
    disabled: Mapped[bool] = mapped_column()


class Gate(Base):
    """A registered gate, as it stands in the feed."""

    __tablename__ = "gates"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_s: Mapped[int] = mapped_column(BigInteger)


class StatusTable(Base):
    """One status list: its entries as they are published, and how many are allotted."""

    __tablename__ = "status_lists"
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    used: Mapped[int] = mapped_column(Integer)
    changed_s: Mapped[int] = mapped_column(BigInteger)
    entries: Mapped[bytes] = mapped_column(LargeBinary)


class StatusEntry(Base):
    """The place of a credential in a status list, for good."""

    __tablename__ = "status_entries"
    credential_id: Mapped[bytes] = mapped_column(Id, primary_key=True)
    number: Mapped[int] = mapped_column(Integer)
    place: Mapped[int] = mapped_column(Integer)


class Wallet(Base):
    """A paired wallet; its token is kept hashed."""

    __tablename__ = "wallets"
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    holder_id: Mapped[bytes] = mapped_column(Id, index=True)
    paired_s: Mapped[int] = mapped_column(BigInteger)


class JournalEntry(Base):
    """One record of a node's journal: its exact bytes, and what it is looked for by."""

    __tablename__ = "journal"
    log: Mapped[str] = mapped_column(String(32), primary_key=True)
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    leaf: Mapped[bytes] = mapped_column(LargeBinary(32))
    record: Mapped[bytes] = mapped_column(LargeBinary)
    taken_s: Mapped[int] = mapped_column(BigInteger)
    at_ms: Mapped[int] = mapped_column(BigInteger)
    decision: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(32))
    scene: Mapped[str] = mapped_column(String(64))
    gate_id: Mapped[str] = mapped_column(String(32))
    verification_id: Mapped[str] = mapped_column(String(32), index=True)
    credential_id: Mapped[bytes | None] = mapped_column(Id)


class JournalCheckpoint(Base):
    """A node's checkpoint: counter-signed, or refused and kept as evidence."""

    __tablename__ = "journal_checkpoints"
    log: Mapped[str] = mapped_column(String(32), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    root: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    refused: Mapped[bool] = mapped_column()
    body: Mapped[bytes] = mapped_column(LargeBinary)
    countersignature: Mapped[bytes] = mapped_column(LargeBinary)
    at_s: Mapped[int] = mapped_column(BigInteger)


class Act(Base):
    """What an administrator did: append-only."""

    __tablename__ = "acts"
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    at_s: Mapped[int] = mapped_column(BigInteger)
    who: Mapped[str] = mapped_column(String(64))
    act: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(128))
    reason: Mapped[str] = mapped_column(String(400))


Index("status_entries_place", StatusEntry.number, StatusEntry.place, unique=True)
Index("journal_taken", JournalEntry.taken_s)
# Lists go from the newest back; each filter has its index, so that a page of a million rows is one
# range of an index.
Index("journal_at", JournalEntry.at_ms)
for _column in ("decision", "reason", "scene", "gate_id", "credential_id"):
    Index(f"journal_{_column}", getattr(JournalEntry, _column), JournalEntry.at_ms)
