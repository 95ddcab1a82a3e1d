"""Reading a configuration: one TOML file, typed, with overrides by environment variables.

- Everything that is wrong is said at once, each with its key, its line and what it takes.
- `PREFIX` + `SECTION__KEY` in the environment overrides the file.
- Not here: what the keys are (edge.config, central.config), and whether ports and folders can be
  used (edge.preflight).
"""

import contextlib
import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_type_hints

import msgspec

from edge.errors import ConfigError
from edge.settings_text import struct_of, takes, unit_of

_T = TypeVar("_T", bound=msgspec.Struct)
_SECTION = re.compile(r"^\s*\[\s*([A-Za-z0-9_.-]+)\s*\]")
_KEY = re.compile(r"^\s*([A-Za-z0-9_.-]+)\s*=")
VALUE_CHARS_MAX = 60
NEAR = 0.6
"""How alike two names must be for one to be offered for the other."""


class Wrong(NamedTuple):
    """One thing that is wrong: its key with the section, and words."""

    key: str
    words: str


def load_settings(
    kind: type[_T], path: Path | None, environ: Mapping[str, str], prefix: str
) -> _T:
    """Read a configuration.

    Args:
        kind: Its struct.
        path: A TOML file; None = defaults.
        environ: Environment variables that override it.
        prefix: With which their names begin.

    Raises:
        ConfigError: What is wrong, where, and what to do; several lines if several things are.
    """
    tree, text = _read(path)
    given = _override(tree, environ, prefix)
    wrong = list(find_wrong(tree, kind))
    if wrong:
        lines = [
            f"{_where(item.key, path, text, given, prefix)}: {item.words}" for item in wrong]
        raise ConfigError("\n".join(lines))
    return msgspec.convert(tree, kind, strict=False, dec_hook=decode_path)


def find_wrong(
    tree: Mapping[str, Any], kind: type[msgspec.Struct], section: str = ""
) -> Iterator[Wrong]:
    """Give everything that is wrong in a parsed configuration."""
    hints = get_type_hints(kind, include_extras=True)
    for name, value in tree.items():
        key = section + name
        if name not in hints:
            yield Wrong(key, _unknown(name, hints))
            continue
        inner = struct_of(hints[name])
        if inner is not None and isinstance(value, dict):
            yield from find_wrong(value, inner, f"{key}.")
            continue
        if inner is not None:
            yield Wrong(key, f"is a section: write [{key}] and its keys below it")
            continue
        try:
            msgspec.convert(value, hints[name], strict=False, dec_hook=decode_path)
        except msgspec.ValidationError:
            shown = repr(value)[:VALUE_CHARS_MAX]
            yield Wrong(key, f"{shown} can't be used: it takes {takes(hints[name], name)}")


def line_of(text: str, key: str) -> int | None:
    """Find the line of a TOML text on which a key stands, counted from 1."""
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        found = _SECTION.match(line)
        if found:
            section = found[1] + "."
            if found[1] == key:
                return number
        else:
            found = _KEY.match(line)
            if found and section + found[1] == key:
                return number
    return None


def decode_path(kind: type, value: object) -> object:
    """Read a path of a configuration; what msgspec doesn't know by itself."""
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"expected {kind.__name__}")


def _read(path: Path | None) -> tuple[dict[str, Any], str]:
    if path is None:
        return {}, ""
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text), text
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} isn't TOML: {error}") from error


def _override(tree: dict[str, Any], environ: Mapping[str, str], prefix: str) -> set[str]:
    """Put environment variables into the tree; give the keys that they set."""
    given = set()
    for name, value in environ.items():
        if not name.startswith(prefix):
            continue
        keys = name.removeprefix(prefix).lower().split("__")
        node = tree
        for key in keys[:-1]:
            node = node.setdefault(key, {})
            if not isinstance(node, dict):
                raise ConfigError(f"{name}: {key} isn't a section")
        node[keys[-1]] = _parsed(value)
        given.add(".".join(keys))
    return given


def _parsed(value: str) -> object:
    """Read a list as in the file, `["a", "b"]`; anything else is the text itself."""
    if value.startswith("["):
        with contextlib.suppress(tomllib.TOMLDecodeError):
            return tomllib.loads(f"value = {value}")["value"]
    return value


def _where(key: str, path: Path | None, text: str, given: set[str], prefix: str) -> str:
    if key in given:
        return f"{key} (environment variable {prefix}{key.upper().replace('.', '__')})"
    line = line_of(text, key)
    return f"{key} ({path}, line {line})" if line else f"{key} ({path})"


def _unknown(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, 1, NEAR)
    if not near:
        return f"is no key; known here: {', '.join(known)}"
    unit = unit_of(near[0])
    return f"is no key; did you mean {near[0]}" + (f", in {unit}?" if unit else "?")
