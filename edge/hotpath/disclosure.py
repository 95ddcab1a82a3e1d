"""What a scene may see of a credential: fields by policy, masked as it says.

- Only on accept; a field that the credential lacks is left out.
- A mask never shows more than it names: what is too short to mask is all stars.
"""

from collections.abc import Callable

from edge.protocol.records import CredentialRecord, Mask, ScenePolicy

_COMPOUND_SURNAMES = frozenset((
    "欧阳", "太史", "上官", "端木", "司马", "东方", "独孤", "南宫",
    "万俟", "闻人", "夏侯", "诸葛", "尉迟", "公羊", "赫连", "澹台",
    "皇甫", "宗政", "濮阳", "公冶", "太叔", "申屠", "公孙", "慕容",
    "仲孙", "钟离", "长孙", "宇文", "司徒", "鲜于", "司空", "令狐",
))


def disclose(credential: CredentialRecord, policy: ScenePolicy) -> dict[str, str]:
    """Give the fields that the scene's policy shows, masked."""
    return {
        item.field: mask(credential.fields[item.field], item.mask)
        for item in policy.disclose
        if item.field in credential.fields
    }


def mask(value: str, how: Mask) -> str:
    """Mask one value."""
    return _MASKS[how](value)


def _full(value: str) -> str:
    return value


def _name(value: str) -> str:
    """Show the family name: one character, or a compound surname; Latin names' first letter."""
    if len(value) < 2:
        return "*" * len(value)
    shown = 2 if value[:2] in _COMPOUND_SURNAMES and len(value) > 2 else 1
    return value[:shown] + "*" * (len(value) - shown)


def _id_number(value: str) -> str:
    """Show the first three and the last four characters."""
    return value[:3] + "*" * (len(value) - 7) + value[-4:] if len(value) >= 12 else _stars(value)


def _plate(value: str) -> str:
    """Show province, letter and the last two characters."""
    return value[:2] + "*" * (len(value) - 4) + value[-2:] if len(value) >= 6 else _stars(value)


def _last4(value: str) -> str:
    return "*" * (len(value) - 4) + value[-4:] if len(value) >= 8 else _stars(value)


def _year(value: str) -> str:
    """Show the year of an ISO date."""
    return value[:4] if len(value) == 10 and value[:4].isdigit() else _stars(value)


def _stars(value: str) -> str:
    return "*" * len(value)


_MASKS: dict[Mask, Callable[[str], str]] = {
    "full": _full, "name": _name, "id_number": _id_number, "plate": _plate, "last4": _last4,
    "year": _year,
}
