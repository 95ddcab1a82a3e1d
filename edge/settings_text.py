"""A configuration's keys in words: what each takes, its unit, default and what it is for.

- Everything is read from the structs: bounds from their types, words from their docstrings, units
  from the names of keys. There is no second list to keep in step.
"""

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import msgspec
import orjson
from msgspec import inspect as types

_UNITS = {"s": "seconds", "ms": "milliseconds", "days": "days", "bytes": "bytes",
          "pixels": "pixels", "kmh": "km/h", "km": "km"}
_PATTERN = re.compile(r"^\^\(([a-z_|-]+)\)\$$")
_ITEM = re.compile(r"^ {4}([a-z_0-9]+(?:, [a-z_0-9]+)*): (.*)$")


class Key(NamedTuple):
    """One key of a configuration.

    Attributes:
        name: With its section, `limits.deadline_s`.
        takes: What may stand there, in words, with bounds.
        unit: Empty if it has none.
        default: As TOML; empty = nothing by default.
        words: What it is for.
    """

    name: str
    takes: str
    unit: str
    default: str
    words: str


def sections(kind: type[msgspec.Struct]) -> list[tuple[str, str, list[Key]]]:
    """Give name, words and keys of the configuration itself (name empty) and of each section."""
    found = [("", _summary(kind), list(_keys(kind, "")))]
    for field in msgspec.structs.fields(kind):
        inner = struct_of(field.type)
        if inner is not None:
            found.append((field.name, _summary(inner), list(_keys(inner, f"{field.name}."))))
    return found


def struct_of(kind: object) -> type[msgspec.Struct] | None:
    """Give the section's struct, None if it is a plain value."""
    return kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None


def unit_of(name: str) -> str:
    """Give the unit that a key's name says, empty if none."""
    if name.endswith("_per_s"):
        return "calls a second"
    return next((_UNITS[part] for part in name.split("_") if part in _UNITS), "")


def takes(kind: Any, name: str = "") -> str:  # noqa: ANN401 - a type of whatever form
    """Say what a value of a type may be."""
    words = _takes(types.type_info(kind))
    unit = unit_of(name)
    if unit and "number" in words:
        return words.replace("number", f"number of {unit}", 1)
    return words


def as_toml(value: object) -> str:
    """Write a default as TOML; empty for none."""
    if value is None or isinstance(value, msgspec.UnsetType):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, Path):
        value = str(value)
    return orjson.dumps(value).decode()


def _keys(kind: type[msgspec.Struct], prefix: str) -> Iterator[Key]:
    words, hints = _attributes(kind), get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        if struct_of(field.type) is None:
            yield Key(prefix + field.name, takes(hints[field.name], field.name),
                      unit_of(field.name), as_toml(field.default), words[field.name])


def _takes(info: types.Type) -> str:
    if isinstance(info, types.IntType | types.FloatType):
        whole = "a whole number" if isinstance(info, types.IntType) else "a number"
        bounds = (("over", info.gt), ("from", info.ge), ("to", info.le), ("below", info.lt))
        shown = [f"{word} {bound:,}" for word, bound in bounds if bound is not None]
        return " ".join([whole, *shown])
    if isinstance(info, types.Metadata):
        said = (info.extra_json_schema or {}).get("description")
        return said if said else _takes(info.type)
    if isinstance(info, types.StrType):
        found = _PATTERN.match(info.pattern or "")
        return "one of " + ", ".join(found[1].split("|")) if found else "text"
    if isinstance(info, types.LiteralType):
        return "one of " + ", ".join(str(value) for value in info.values)
    if isinstance(info, types.BoolType):
        return "true or false"
    if isinstance(info, types.CustomType) and info.cls is Path:
        return "a path"
    if isinstance(info, types.VarTupleType | types.ListType):
        return "a list of texts"
    if isinstance(info, types.UnionType):
        some = [item for item in info.types if not isinstance(item, types.NoneType)]
        return ", or ".join(_takes(item) for item in some)
    raise RuntimeError(f"a configuration has no words for {info}")


def _summary(kind: type[msgspec.Struct]) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0]


def _attributes(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Read the `Attributes:` of a Google-style docstring."""
    found: dict[str, str] = {}
    names: list[str] = []
    lines = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2].split("\n")
    for line in lines:
        match = _ITEM.match(line)
        if match:
            names = match[1].split(", ")
            found |= dict.fromkeys(names, match[2])
        elif line.startswith("        "):
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return found


