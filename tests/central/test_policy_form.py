"""The form of a policy: over what is in force, every wrong field at once, nothing lost."""

import msgspec
import pytest

from central.errors import Invalid
from central.web.policy_form import NOT_A_NUMBER, NOT_WHOLE, read_filled
from edge.protocol.records import Disclosure, ScenePolicy, Words

POLICY = ScenePolicy(
    scene="hall.door", version=3, title=Words("大厅", "Hall"), accepts=("resident_id",),
    reference_age_max_days=365, fpir_max=0.002, identification="allowed",
    disclose=(Disclosure("name", "name"),))
TICKED = {"title_zh": ["大厅"], "title_en": ["Hall"], "accepts": ["resident_id"],
          "suites": ["1", "2", "17"], "disclose_field": ["name", ""],
          "disclose_mask": ["name", "full"]}


def filled(**fields: str):
    return read_filled(TICKED | {name: [text] for name, text in fields.items()}, POLICY)


def test_what_a_form_doesnt_name_stays_as_it_is():
    assert filled().policy == POLICY
    assert filled(fpir_max=" 0.01 ").policy == msgspec.structs.replace(POLICY, fpir_max=0.01)


def test_an_empty_bound_is_none_where_there_may_be_none():
    assert filled(reference_age_max_days="", fnmr_max="").policy.reference_age_max_days is None
    assert filled(challenge_open_s="").wrong == {"challenge_open_s": NOT_WHOLE}


def test_every_wrong_field_is_said_and_shown_as_it_was_filled_in():
    found = filled(fpir_max="a lot", reference_age_max_days="1.5", purpose="identification")
    assert found.policy is None
    assert found.wrong == {"fpir_max": NOT_A_NUMBER, "reference_age_max_days": NOT_WHOLE}
    assert found.shown["fpir_max"] == "a lot"
    assert found.shown["purpose"] == "identification"


@pytest.mark.parametrize("name,bad,good", [
    ("challenge_open_s", "4", "5"), ("challenge_open_s", "121", "120"),
    ("reference_age_max_days", "0", "1"), ("reference_age_max_days", "36501", "36500"),
    ("fpir_max", "0", "1e-9"), ("fpir_max", "1", "0.999"), ("fpir_max", "nan", "0.5"),
    ("identification_margin", "-0.01", "0"), ("identification_margin", "1", "0.99"),
    ("identification_margin", "inf", "0.01"), ("fmr_max", "0", "0.001")])
def test_bounds_are_held_at_both_ends(name, bad, good):
    assert set(filled(**{name: bad}).wrong) == {name}
    assert not filled(**{name: good}).wrong


def test_a_choice_that_the_form_doesnt_offer_is_refused():
    with pytest.raises(Invalid, match="identification"):
        filled(identification="sometimes")
