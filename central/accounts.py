"""Administrators' accounts, kept in the database."""

from sqlalchemy import select

from central import schema
from central.store import Database, Transaction
from edge.access.accounts import Account, Role


class DatabaseAccounts:
    """Implements `edge.access.accounts.AccountBook`."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    async def find(self, name: str) -> Account | None:
        """Give the account of a name."""
        return await self._database.run(lambda tx: _find(tx, name))

    async def all(self) -> list[Account]:
        """Give every account, by name."""
        return await self._database.run(_all)

    async def put(self, account: Account) -> None:
        """Keep an account.

        Raises:
            StoreError: The database failed.
        """
        await self._database.run(lambda tx: put_account(tx, account))


def put_account(tx: Transaction, account: Account) -> None:
    """Keep an account, replacing the one of its name."""
    tx.session.merge(schema.Account(
        name=account.name, role=account.role.value, password_hash=account.password_hash,
        generation=account.generation, disabled=account.disabled,
    ))


def _find(tx: Transaction, name: str) -> Account | None:
    row = tx.session.get(schema.Account, name)
    return _account(row) if row is not None else None


def _all(tx: Transaction) -> list[Account]:
    return [_account(row) for row in tx.session.scalars(
        select(schema.Account).order_by(schema.Account.name))]


def _account(row: schema.Account) -> Account:
    return Account(
        name=row.name, role=Role(row.role), password_hash=row.password_hash,
        generation=row.generation, disabled=row.disabled,
    )
