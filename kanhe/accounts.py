"""Accounts on the command line: the password comes from standard input, never from an argument."""

import argparse
import asyncio
import getpass
import sys

import msgspec

from edge.access.accounts import Account, AccountBook, Role, check_name, hash_password
from edge.errors import ConfigError


def add_account_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what names an account."""
    parser.add_argument("name")
    parser.add_argument("--role", choices=[role.value for role in Role],
                        help="needed for a new account")


async def keep_account(book: AccountBook, args: argparse.Namespace) -> Account:
    """Add the account, or give it a new password and perhaps another role.

    Raises:
        ConfigError: Name, role or password can't be taken.
    """
    name = check_name(args.name)
    before = await book.find(name)
    if before is None and args.role is None:
        raise ConfigError(f"{name} is new: say --role")
    password = read_password()
    hashed = await asyncio.to_thread(hash_password, password)
    if before is None:
        account = Account(name=name, role=Role(args.role), password_hash=hashed)
    else:
        account = msgspec.structs.replace(
            before, password_hash=hashed, generation=before.generation + 1,
            role=Role(args.role) if args.role else before.role)
    await book.put(account)
    return account


def read_password() -> str:
    """Read a password: asked for on a terminal, else the first line of standard input."""
    if sys.stdin.isatty():
        return getpass.getpass("new password: ")
    return sys.stdin.readline().rstrip("\n")
