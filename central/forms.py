"""What each credential holds: its fields, which are required, and how each is checked."""

from collections.abc import Callable

from central.errors import Invalid
from central.identifiers import (
    wrong_date,
    wrong_plate,
    wrong_resident_id,
    wrong_vin,
)

Check = Callable[[str], str]
FIELD_CHARS_MAX = 200
DRIVING_CLASSES = (
    "A1", "A2", "A3", "A6", "B1", "B2", "C1", "C2", "C3", "C4", "C5", "C6", "D", "E", "F", "M",
    "N", "P",
)


def _text(value: str) -> str:
    return "" if value.strip() else "it is empty"


def _sex(value: str) -> str:
    return "" if value in ("男", "女") else "it is 男 or 女"


def _classes(value: str) -> str:
    rest = value
    while rest:
        known = next((name for name in DRIVING_CLASSES if rest.startswith(name)), "")
        if not known:
            return "it is made of vehicle classes like C1 or A2D"
        rest = rest[len(known):]
    return "" if value else "it is empty"


FORMS: dict[str, dict[str, Check]] = {
    "resident_id": {
        "name": _text, "sex": _sex, "nation": _text, "birth_date": wrong_date, "address": _text,
        "id_number": wrong_resident_id, "authority": _text,
    },
    "driving_licence": {
        "name": _text, "licence_number": wrong_resident_id, "vehicle_class": _classes,
        "first_issue_date": wrong_date, "file_number": _text, "authority": _text,
    },
    "vehicle_licence": {
        "plate_number": wrong_plate, "owner": _text, "vehicle_type": _text, "use": _text,
        "model": _text, "vin": wrong_vin, "engine_number": _text, "register_date": wrong_date,
    },
}
"""By credential type: field → what is wrong with a value. Every field is required."""


def check_fields(type_: str, fields: dict[str, str]) -> None:
    """Hold a credential's fields against its form.

    Raises:
        Invalid: Names the type or field, and what to do; never holds the value.
    """
    form = FORMS.get(type_)
    if form is None:
        raise Invalid(f"this platform issues no {type_[:40]!r}; it issues {', '.join(FORMS)}")
    for name in fields:
        if name not in form:
            raise Invalid(f"{type_} has no field {name[:40]!r}; it has {', '.join(form)}")
    for name, wrong in form.items():
        value = fields.get(name)
        if value is None:
            raise Invalid(f"{type_} needs the field {name!r}")
        if len(value) > FIELD_CHARS_MAX:
            raise Invalid(f"{name}: more than {FIELD_CHARS_MAX} characters")
        problem = wrong(value)
        if problem:
            raise Invalid(f"{name}: {problem}")
    number = fields.get("id_number")
    if type_ == "resident_id" and number:
        if number[6:14] != fields["birth_date"].replace("-", ""):
            raise Invalid("birth_date: it differs from the ID number's")
        if (int(number[16]) % 2 == 1) != (fields["sex"] == "男"):
            raise Invalid("sex: it differs from the ID number's")
