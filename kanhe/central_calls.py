"""The administrator's calls that the command line makes: one table of nouns and verbs.

- A row says what is asked for and the call that is made of it; nothing is sent here.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import orjson

from edge.errors import ConfigError

NODE_SAYS = "node"
"""Written for a rate: the gate has none of its own."""
Call = tuple[str, str, bytes]
"""Method, path, body."""


class Row(NamedTuple):
    """One verb.

    Attributes:
        noun, verb: As typed.
        words: What it does.
        positional, options: What it takes; options in `REQUIRED` must be given.
        make: The call.
    """

    noun: str
    verb: str
    words: str
    positional: tuple[str, ...]
    options: tuple[str, ...]
    make: Callable[[argparse.Namespace], Call]


def _json(method: str, path: str, **body: object) -> Call:
    return method, path, orjson.dumps(body) if body else b""


def _fields(args: argparse.Namespace) -> dict[str, str]:
    pairs = [item.partition("=") for item in args.fields.split(",") if item]
    if not pairs or any(not equals for _, equals, _ in pairs):
        raise ConfigError("--fields takes name=value,name=value")
    return {name: value for name, _, value in pairs}


def _degrees(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{text!r} isn't degrees: write 29.868, not 29°52'") from None


def _rate(text: str) -> float | None:
    if text in ("", NODE_SAYS):
        return None
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no rate: write calls a second, such as 50 or 0.5, or "
                          f"{NODE_SAYS} to have it as the gate's node says") from None


def read_file(path: str) -> bytes:
    """Read a file that was named; raises `ConfigError` with its path."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def _status(status: str) -> Callable[[argparse.Namespace], Call]:
    return lambda a: _json(
        "POST", f"/v1/credentials/{quote(a.id)}/status", status=status, reason=a.reason)


def _revoke(what: str) -> Callable[[argparse.Namespace], Call]:
    return lambda a: ("DELETE", f"/v1/{what}/{quote(a.id)}?reason={quote(a.reason)}", b"")


NOUNS = {
    "holder": "register holders, their photographs and consent", "credential": "grant and withdraw",
    "policy": "scenes and their rules", "node": "enrol and revoke nodes",
    "gate": "register and revoke gates", "wallet": "pair wallets", "journal": "what nodes recorded",
    "status": "what the platform holds", "snapshot": "what a node begins with", "code": "judge one",
}
REQUIRED = {"how", "name", "number", "holder", "type", "fields", "label", "scenes", "reason",
             "lat", "lon"}
ADMIN: tuple[Row, ...] = (
    Row("holder", "add", "register a holder", (), ("name", "number", "region"),
     lambda a: _json("POST", "/v1/holders", name=a.name, number=a.number, region=a.region)),
    Row("holder", "move", "to another region", ("id", "region"), (),
     lambda a: _json("PUT", f"/v1/holders/{quote(a.id)}/region", region=a.region)),
    Row("holder", "list", "all holders", (), (), lambda _: _json("GET", "/v1/holders")),
    Row("holder", "photograph", "enrol a photograph", ("id", "file"), (),
     lambda a: ("POST", f"/v1/holders/{quote(a.id)}/photograph", read_file(a.file))),
    Row("holder", "consent", "record a consent", ("id", "purpose"), ("how",),
     lambda a: _json("POST", f"/v1/holders/{quote(a.id)}/consents", purpose=a.purpose, given=True,
                     how=a.how)),
    Row("credential", "issue", "grant one", (), ("holder", "type", "fields", "until"),
     lambda a: _json("POST", "/v1/credentials", holder_id=a.holder, type=a.type,
                     fields=_fields(a), valid_until=a.until or None)),
    Row("credential", "show", "what is known of one", ("id",), (),
     lambda a: _json("GET", f"/v1/credentials/{quote(a.id)}")),
    Row("credential", "suspend", "for a while", ("id",), ("reason",), _status("suspended")),
    Row("credential", "revoke", "for good", ("id",), ("reason",), _status("revoked")),
    Row("credential", "restore", "end a suspension", ("id",), ("reason",), _status("valid")),
    Row("policy", "list", "all scenes", (), (), lambda _: _json("GET", "/v1/policies")),
    Row("policy", "show", "a scene's rules", ("scene",), (),
     lambda a: _json("GET", f"/v1/policies/{quote(a.scene)}")),
    Row("policy", "set", "replace a scene's rules by a file's", ("scene", "file"), ("reason",),
     lambda a: ("PUT", f"/v1/policies/{quote(a.scene)}?reason={quote(a.reason)}",
                read_file(a.file))),
    Row("node", "code", "a one-time code to enrol a node with", (), (),
     lambda _: _json("POST", "/v1/node-codes")),
    Row("node", "list", "all nodes", (), (), lambda _: _json("GET", "/v1/nodes")),
    Row("node", "place", "where a node stands, in degrees", ("id",), ("lat", "lon"),
     lambda a: _json("PUT", f"/v1/nodes/{quote(a.id)}/place", lat=_degrees(a.lat),
                     lon=_degrees(a.lon))),
    Row("node", "revoke", "a node is trusted no longer", ("id",), ("reason",), _revoke("nodes")),
    Row("gate", "add", "register a gate; its credential is shown once", (),
        ("label", "scenes", "node", "rate"),
     lambda a: _json("POST", "/v1/gates", label=a.label, scenes=a.scenes.split(","),
                     node_id=a.node, rate_per_s=_rate(a.rate))),
    Row("gate", "rate", "how often it may call: calls a second, or node = as its node says",
        ("id", "calls"), (),
     lambda a: _json("PUT", f"/v1/gates/{quote(a.id)}/rate", rate_per_s=_rate(a.calls))),
    Row("gate", "list", "all gates", (), (), lambda _: _json("GET", "/v1/gates")),
    Row("gate", "revoke", "a gate may speak no longer", ("id",), ("reason",), _revoke("gates")),
    Row("wallet", "code", "a one-time code to pair a wallet with", ("holder_id",), (),
     lambda a: _json("POST", f"/v1/holders/{quote(a.holder_id)}/wallet-codes")),
    Row("code", "check", "judge a code as a node would", ("scene", "code"), (),
     lambda a: _json("POST", "/v1/checks", scene=a.scene, presentation=a.code)),
    Row("journal", "list", "the last records", (), (), lambda _: _json("GET", "/v1/journal")),
    Row("snapshot", "make", "make one now", (), (), lambda _: _json("POST", "/v1/snapshots")),
    Row("references", "show", "packs and the job under way", (), (),
     lambda _: _json("GET", "/v1/references")),
    Row("status", "show", "the whole", (), (), lambda _: _json("GET", "/v1/status")),
)
"""Noun, verb, positional arguments, options, and the call they make."""
