"""Trying what a configuration names before a service is started: folders, files, the port.

- Tried, not guessed: a folder is written to, a port is bound, and both are as before afterwards.
- Findings are sentences; an `error` keeps the service from running, a `note` doesn't.
"""

import errno
import importlib.util
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from edge.access.tls import GivenCertificate, Tls, tls_mode
from edge.errors import ConfigError


class Found(NamedTuple):
    """One finding."""

    kind: Literal["error", "note"]
    key: str
    words: str


def try_folder(key: str, folder: Path) -> Iterator[Found]:
    """Try to write where a folder is, or would be made."""
    at = folder.absolute()
    try:
        while not at.exists() and at != at.parent:
            at = at.parent
        if not at.is_dir():
            yield Found("error", key, f"{folder}: {at} is a file, not a folder")
            return
        with tempfile.TemporaryFile(dir=at):
            pass
    except OSError as error:
        words = f"{folder} can't be written: {error.strerror} ({at}, as user {os.geteuid()})"
        yield Found("error", key, words)
        return
    if at != folder.absolute():
        yield Found("note", key, f"{folder} isn't there yet and will be made")
    elif folder.stat().st_mode & 0o007:
        yield Found("note", key, f"{folder} is open to every user of this machine: chmod 700 it")


def try_file(key: str, file: Path | None) -> Iterator[Found]:
    """Try to read a file, if one is named."""
    if file is None:
        return
    try:
        with file.open("rb") as opened:
            opened.read(1)
    except OSError as error:
        yield Found("error", key, f"{file} can't be read: {error.strerror}")


def try_package(key: str, module: str, extra: str) -> Iterator[Found]:
    """Look whether what a key needs is installed, without loading it."""
    try:
        there = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        there = False
    if not there:
        yield Found("error", key, f"needs packages that aren't here: install kanhe[{extra}]")


def try_port(key: str, host: str, port: int, port_tries: int) -> Iterator[Found]:
    """Try to bind the port, or the next free one as the service would."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    last = port + port_tries - 1
    for number in range(port, last + 1):
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind((host, number))
            except OverflowError:
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    words = f"{host}:{number} can't be used: {error.strerror}"
                    yield Found("error", key, words)
                    return
                continue
        if number != port:
            words = f"{port} is in use on {host}: the service would take {number}"
            yield Found("note", key, words)
        return
    taken = f"{port} is" if last == port else f"{port} to {last} are"
    yield Found("error", key, f"{taken} in use on {host}: stop what holds it or give another")


def try_tls(tls: Tls, host: str) -> Iterator[Found]:
    """Try how a service is to be reached."""
    try:
        mode = tls_mode(tls, host, insecure=False)
    except ConfigError as error:
        yield Found("error", "tls.mode", str(error))
        return
    if mode == "given" and tls.certificate is not None and tls.key is not None:
        try:
            GivenCertificate(tls.certificate, tls.key)
        except ConfigError as error:
            yield Found("error", "tls.certificate", str(error))
