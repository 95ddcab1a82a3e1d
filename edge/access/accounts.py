"""Accounts of people: names, roles, passwords hashed with Argon2id (RFC 9106).

- A password is never kept, logged or shown; an unknown name costs the same time as a known one.
- `generation` rises when a password changes or its owner signs out: every older session ends.
- A node keeps its accounts in one file (`FileAccounts`), so that people can sign in while the
  network is down; the central platform keeps its own in its database.
"""

import asyncio
import os
import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import msgspec
from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from edge.errors import ConfigError, StoreError
from edge.files import write_file

PASSWORD_CHARS_MIN = 10
PASSWORD_CHARS_MAX = 256
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}\Z")
ACCOUNTS_MAX = 2_000
FILE_BYTES_MAX = 4 * 1024 * 1024
HASHING_AT_ONCE_MAX = 2
"""Passwords hashed at once; each takes `_MEMORY_KIB`."""
_MEMORY_KIB, _PASSES, _LANES = 19 * 1024, 2, 1
"""OWASP's minimum for Argon2id, some 30 ms; a node has verifications to answer beside."""


class Role(StrEnum):
    """What a person may do; each may do what those before it may."""

    OPERATOR = "operator"
    SUPERVISOR = "supervisor"
    ADMINISTRATOR = "administrator"

    def covers(self, other: "Role") -> bool:
        """Tell whether this role may do what `other` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One person's account.

    Attributes:
        name: What is typed at sign-in, lower case.
        role: What they may do.
        password_hash: Argon2id in PHC form.
        generation: Sessions of another one have ended.
        disabled: Nobody can sign in.
    """

    name: str
    role: Role
    password_hash: str
    generation: int = 0
    disabled: bool = False

    def __repr__(self) -> str:
        """Show no hash."""
        return f"Account(name={self.name!r}, role={self.role.value!r})"


class AccountBook(Protocol):
    """Where accounts are kept."""

    async def find(self, name: str) -> Account | None:
        """Give the account of a name."""
        ...

    async def all(self) -> Sequence[Account]:
        """Give every account, by name."""
        ...

    async def put(self, account: Account) -> None:
        """Keep an account, replacing the one of its name.

        Raises:
            StoreError: It can't be kept.
        """
        ...


def check_name(name: str) -> str:
    """Give the name as it is kept.

    Raises:
        ConfigError: It can't be one.
    """
    plain = name.strip().lower()
    if not NAME.match(plain):
        raise ConfigError("an account's name is 1 to 32 of a-z 0-9 . _ - and starts with a letter "
                          "or digit")
    return plain


def hash_password(password: str) -> str:
    """Hash a new password; takes some 30 ms and 19 MiB.

    Raises:
        ConfigError: It is too short or too long.
    """
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise ConfigError(
            f"a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters")
    kdf = Argon2id(salt=os.urandom(16), length=32, iterations=_PASSES, lanes=_LANES,
                   memory_cost=_MEMORY_KIB)
    return kdf.derive_phc_encoded(_password_bytes(password))


def password_holds(password: str, account: Account | None) -> bool:
    """Tell whether a password is the account's; as slow for an unknown account as for a known."""
    known = account is not None and not account.disabled
    phc = account.password_hash if account is not None else _NOBODYS_HASH
    try:
        Argon2id.verify_phc_encoded(_password_bytes(password[:PASSWORD_CHARS_MAX]), phc)
    except (InvalidKey, ValueError):
        return False
    return known


def _password_bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


_NOBODYS_HASH = (
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9i$"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)
"""A hash that no password has; checking against it takes the usual time."""


class FileAccounts:
    """The accounts of a node, in a file that its owner alone may read."""

    def __init__(self, path: Path) -> None:
        """Take the file's place; it is made with the first account."""
        self._path = path
        self._read_at: tuple[int, int] | None = None
        self._accounts: dict[str, Account] = {}

    async def find(self, name: str) -> Account | None:
        """Give the account of a name.

        Raises:
            StoreError: The file is damaged.
        """
        return self._load().get(name)

    async def all(self) -> list[Account]:
        """Give every account, by name; raises as `find`."""
        return [account for _, account in sorted(self._load().items())]

    async def put(self, account: Account) -> None:
        """Keep an account.

        Raises:
            StoreError: The file is damaged or can't be written, or there are too many.
        """
        accounts = {**self._load(), account.name: account}
        if len(accounts) > ACCOUNTS_MAX:
            raise StoreError(f"more than {ACCOUNTS_MAX} accounts")
        await asyncio.to_thread(self._write, accounts)

    def _load(self) -> dict[str, Account]:
        """Read the file if it changed: a command may write it beside a running node."""
        try:
            stat = self._path.stat()
            mark = (stat.st_mtime_ns, stat.st_size)
            if mark != self._read_at:
                if stat.st_size > FILE_BYTES_MAX:
                    raise StoreError(f"{self._path} is too large to be a list of accounts")
                found = msgspec.json.decode(self._path.read_bytes(), type=list[Account])
                self._accounts = {account.name: account for account in found}
                self._read_at = mark
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StoreError(f"{self._path}: {error.strerror}") from error
        except msgspec.MsgspecError:
            raise StoreError(f"{self._path} is damaged: restore it, or remove it and add the "
                             "accounts again with `kanhe edge account add`") from None
        return self._accounts

    def _write(self, accounts: dict[str, Account]) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_file(self._path, msgspec.json.encode(list(accounts.values())), 0o600)
        except OSError as error:
            raise StoreError(f"{self._path}: {error.strerror}") from error
