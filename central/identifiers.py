"""Identifiers of the city, checked: residents, organisations, plates, vehicles.

- GB 11643: region, date of birth, sequence, check character (ISO 7064 MOD 11-2).
- GB 32100: unified social credit code, check character MOD 31.
- GB 16735: vehicle identification number with its check digit.
- Each function gives what is wrong in words, or an empty text.
"""

import re
from datetime import date

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
_REGIONS = frozenset(
    (*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55),
     *range(61, 66), 71, 81, 82)
)
_CREDIT = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_VIN = {
    **{str(n): n for n in range(10)},
    **dict(zip("ABCDEFGH", range(1, 9), strict=True)),
    **dict(zip("JKLMN", range(1, 6), strict=True)), "P": 7, "R": 9,
    **dict(zip("STUVWXYZ", range(2, 10), strict=True)),
}
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z]"
    r"([A-HJ-NP-Z0-9]{5}|[A-HJ-NP-Z0-9]{4}[挂学警港澳]|[DABCEFGHJK][A-HJ-NP-Z0-9]\d{4}"
    r"|\d{5}[DABCEFGHJK])"
)


def wrong_resident_id(text: str) -> str:
    """Say what is wrong with a resident ID number (GB 11643-1999)."""
    if not re.fullmatch(r"\d{17}[\dX]", text):
        return "a resident ID number has 17 digits and a digit or X"
    if int(text[:2]) not in _REGIONS:
        return "its first two digits name no province"
    try:
        born = date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return "digits 7 to 14 are no date of birth"
    if born.year < 1900:
        return "digits 7 to 14 are no plausible date of birth"
    total = sum(int(digit) * weight for digit, weight in zip(text, _WEIGHTS, strict=False))
    return "" if text[17] == _CHECK[total % 11] else "its check character doesn't fit"


def wrong_credit_code(text: str) -> str:
    """Say what is wrong with a unified social credit code (GB 32100-2015)."""
    if len(text) != 18 or any(char not in _CREDIT for char in text):
        return "a unified social credit code has 18 characters, without I, O, S, V, Z"
    total = sum(_CREDIT.index(char) * pow(3, place, 31) for place, char in enumerate(text[:17]))
    fits = text[17] == _CREDIT[(31 - total % 31) % 31]
    return "" if fits else "its check character doesn't fit"


def wrong_plate(text: str) -> str:
    """Say what is wrong with a plate number (GA 36), new-energy plates included."""
    return "" if _PLATE.fullmatch(text) else "this is no Chinese plate number, like 浙B12345"


def wrong_vin(text: str) -> str:
    """Say what is wrong with a vehicle identification number (GB 16735-2019)."""
    if len(text) != 17 or any(char not in _VIN for char in text):
        return "a VIN has 17 characters, without I, O, Q"
    total = sum(_VIN[char] * weight for char, weight in zip(text, _VIN_WEIGHTS, strict=True))
    check = "X" if total % 11 == 10 else str(total % 11)
    return "" if text[8] == check else "its check digit doesn't fit"


def wrong_date(text: str) -> str:
    """Say what is wrong with an ISO date."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return "this is no date, like 2031-05-01"
    return ""
