"""What a scene's policy must keep to besides its form, each rule with its words.

- One table for whoever puts a policy in force by a call and for whoever fills in the form.
- Words say the unit and the bounds; they never hold what was given.
"""

from collections.abc import Callable

from edge.protocol.records import CREDENTIAL_TYPES, ScenePolicy, Words

STEPS_MAX = 60
CHALLENGE_S_MIN, CHALLENGE_S_MAX = 5, 120
REFERENCE_DAYS_MAX = 36_500
Rule = tuple[str, Callable[[ScenePolicy], bool], Words]


def _between(low: int, high: int, unit_zh: str = "", unit_en: str = "") -> Words:
    return Words(f"{low} 至 {high}{unit_zh}", f"{low} to {high}{unit_en}")


_RATE = Words("大于 0、小于 1 的比率，千分之一写作 0.001",
              "a rate between 0 and 1, 0.001 for one in a thousand")

# A comparison with not-a-number is false, so that is refused too.
RULES: tuple[Rule, ...] = (
    ("accepts", lambda p: all(kind in CREDENTIAL_TYPES for kind in p.accepts),
     Words("没有这种证照", f"a credential is one of {', '.join(CREDENTIAL_TYPES)}")),
    ("steps_back", lambda p: 0 <= p.steps_back <= STEPS_MAX, _between(0, STEPS_MAX)),
    ("steps_ahead", lambda p: 0 <= p.steps_ahead <= STEPS_MAX, _between(0, STEPS_MAX)),
    ("fmr_max", lambda p: 0.0 < p.fmr_max < 1.0, _RATE),
    ("fnmr_max", lambda p: p.fnmr_max is None or 0.0 < p.fnmr_max <= 1.0,
     Words("大于 0、不大于 1 的比率，或不填", "a rate above 0 and up to 1, or none")),
    ("challenge_open_s", lambda p: CHALLENGE_S_MIN <= p.challenge_open_s <= CHALLENGE_S_MAX,
     _between(CHALLENGE_S_MIN, CHALLENGE_S_MAX, " 秒", " seconds")),
    ("reference_age_max_days",
     lambda p: (p.reference_age_max_days is None
                or 1 <= p.reference_age_max_days <= REFERENCE_DAYS_MAX),
     Words(f"1 至 {REFERENCE_DAYS_MAX} 天，不限则不填",
           f"1 to {REFERENCE_DAYS_MAX} days, or none for no bound")),
    ("fpir_max", lambda p: 0.0 < p.fpir_max < 1.0, _RATE),
    ("identification_margin", lambda p: 0.0 <= p.identification_margin < 1.0,
     Words("余弦之差，0 至 1（不含 1）", "a difference of cosines, from 0 to below 1")),
)


def wrong_fields(policy: ScenePolicy) -> dict[str, Words]:
    """Give what is wrong with a policy, by field; nothing if it may be put in force."""
    return {name: words for name, holds, words in RULES if not holds(policy)}
