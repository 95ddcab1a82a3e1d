"""The platform's tables: portable types, personal data and keys sealed.

- Times are Unix seconds; ids 16 bytes; a `sealed` column opens only with `platform.key`.
- `counters` gives gapless numbers: its row is locked by whoever increments it, on every
  database.
"""

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Id = LargeBinary(16)


class Base(DeclarativeBase):
    """Base of all tables."""


class Counter(Base):
    """A gapless counter."""

    __tablename__ = "counters"
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)


class Holder(Base):
    """A person or an organisation; `number_hash` finds one by its number."""

    __tablename__ = "holders"
    id: Mapped[bytes] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    number_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_s: Mapped[int] = mapped_column(BigInteger)


class Photograph(Base):
    """The enrolment photograph of a holder and the reference made of it, both sealed."""

    __tablename__ = "photographs"
    holder_id: Mapped[bytes] = mapped_column(Id, primary_key=True)
    pack: Mapped[str] = mapped_column(String(64), primary_key=True)
    image: Mapped[bytes] = mapped_column(LargeBinary)
    template: Mapped[bytes] = mapped_column(LargeBinary)
    quality: Mapped[str] = mapped_column(String(32))
    created_s: Mapped[int] = mapped_column(BigInteger)


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
    """An enrolled node; its token is kept hashed."""

    __tablename__ = "nodes"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(64))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    sign_public: Mapped[bytes] = mapped_column(LargeBinary(32))
    seal_public: Mapped[bytes] = mapped_column(LargeBinary(32))
    journal_log: Mapped[str] = mapped_column(String(32), unique=True)
    enrolled_s: Mapped[int] = mapped_column(BigInteger)
    seen_s: Mapped[int] = mapped_column(BigInteger)
    revoked_s: Mapped[int | None] = mapped_column(BigInteger)


class Gate(Base):
    """A registered gate, as it stands in the feed."""

    __tablename__ = "gates"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_s: Mapped[int] = mapped_column(BigInteger)


class Wallet(Base):
    """A paired wallet; its token is kept hashed."""

    __tablename__ = "wallets"
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    holder_id: Mapped[bytes] = mapped_column(Id, index=True)
    paired_s: Mapped[int] = mapped_column(BigInteger)


class JournalEntry(Base):
    """One record of a node's journal, its exact bytes."""

    __tablename__ = "journal"
    log: Mapped[str] = mapped_column(String(32), primary_key=True)
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    leaf: Mapped[bytes] = mapped_column(LargeBinary(32))
    record: Mapped[bytes] = mapped_column(LargeBinary)
    taken_s: Mapped[int] = mapped_column(BigInteger)


class Act(Base):
    """What an administrator did: append-only."""

    __tablename__ = "acts"
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    at_s: Mapped[int] = mapped_column(BigInteger)
    who: Mapped[str] = mapped_column(String(64))
    act: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(128))
    reason: Mapped[str] = mapped_column(String(400))


Index("journal_taken", JournalEntry.taken_s)
