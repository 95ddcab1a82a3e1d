"""The form of a scene's policy: read over the policy in force, wrong fields said one by one.

- What a form doesn't name stays as it is; ticks and disclosed fields are named by being there.
- A form with something wrong is shown again as it was filled in.
- Not here: putting a policy in force (central.policies).
"""

import msgspec

from central.errors import Invalid
from central.policy_rules import wrong_fields
from edge.protocol.records import ScenePolicy, Words

DISCLOSED_MAX = 20
NUMBER_CHARS_MAX = 20
WHOLE = ("steps_back", "steps_ahead", "challenge_actions", "challenge_open_s", "capture_open_s",
         "capture_tries")
WHOLE_OR_NONE = ("trust_age_max_s", "reference_age_max_days")
RATES = ("fmr_max", "fpir_max", "identification_margin")
RATES_OR_NONE = ("fnmr_max",)
WORDS = ("face", "pack_override", "no_match", "attack", "pad", "challenge", "trust_stale",
         "clock_degraded", "cards", "purpose", "identification")
NOT_WHOLE = Words("请填整数", "a whole number, please")
NOT_A_NUMBER = Words("请填数字，例如 0.001", "a number, please, like 0.001")
_NUMBERS = WHOLE + WHOLE_OR_NONE + RATES + RATES_OR_NONE


class Filled(msgspec.Struct, frozen=True):
    """A form as it was filled in.

    Attributes:
        policy: What it says, None if something in it can't be read.
        shown: Values of a policy's fields as the form is to show them.
        wrong: What is wrong, by field.
    """

    policy: ScenePolicy | None
    shown: dict[str, object]
    wrong: dict[str, Words]


def read_filled(fields: dict[str, list[str]], current: ScenePolicy) -> Filled:
    """Read a form over the policy in force.

    Raises:
        Invalid: It says what this form has no field for.
    """
    wrong: dict[str, Words] = {}
    body: dict[str, object] = msgspec.to_builtins(current)
    shown = body | {name: fields[name][0].strip() for name in _NUMBERS + WORDS if name in fields}
    body |= {name: fields[name][0].strip() for name in WORDS if name in fields}
    for name in _NUMBERS:
        if name in fields:
            text = fields[name][0].strip()[:NUMBER_CHARS_MAX]
            try:
                body[name] = _number(name, text)
            except ValueError:
                wrong[name] = NOT_WHOLE if name in WHOLE + WHOLE_OR_NONE else NOT_A_NUMBER
    lists = _lists(fields)
    shown |= lists
    if wrong:
        return Filled(None, shown, wrong)
    try:
        policy = msgspec.convert(body | lists, ScenePolicy)
    except msgspec.ValidationError as error:
        raise Invalid(str(error)) from error
    return Filled(policy, shown, wrong_fields(policy))


def _number(name: str, text: str) -> int | float | None:
    if not text and name in WHOLE_OR_NONE + RATES_OR_NONE:
        return None
    return int(text) if name in WHOLE + WHOLE_OR_NONE else float(text)


def _lists(fields: dict[str, list[str]]) -> dict[str, object]:
    """Give what a form says by several fields of one name."""
    disclosed = [
        {"field": field.strip(), "mask": mask}
        for field, mask in zip(fields.get("disclose_field", []),
                               fields.get("disclose_mask", []), strict=False)
        if field.strip()
    ]
    return {
        "title": {"zh": fields.get("title_zh", [""])[0].strip(),
                  "en": fields.get("title_en", [""])[0].strip()},
        "accepts": fields.get("accepts", []),
        "suites": [int(suite) for suite in fields.get("suites", []) if suite.isdecimal()],
        "disclose": disclosed[:DISCLOSED_MAX],
    }
