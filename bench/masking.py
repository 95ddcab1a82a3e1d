"""`masking`: the fields that a scene shows, against slices written out by hand.

- Ours: `disclose` by a policy of two masked fields. Theirs: the same two values by slices in one
  line of Python each, without a policy.
"""

from bench.harness import Result, interleave
from edge.hotpath.disclosure import disclose
from edge.protocol.records import CredentialRecord, Disclosure, ScenePolicy, Words

NAME = "masking"
RECORDS = 5_000
ROUNDS, SMALL_ROUNDS = 31, 7


def run(small: bool) -> Result:
    """Mask name and number of many credentials."""
    policy = ScenePolicy(
        scene="bench", version=1, title=Words("", ""), accepts=("resident_id",),
        disclose=(Disclosure("name", "name"), Disclosure("id_number", "id_number")))
    records = [
        CredentialRecord(
            credential_id=bytes(16), holder_id=bytes(16), type="resident_id", valid_from_s=0,
            valid_until_s=None, fields={"name": f"测试{number}", "address": "x" * 60,
                                        "id_number": f"{number:018d}"})
        for number in range(RECORDS)
    ]

    def _by_hand(record: CredentialRecord) -> dict[str, str]:
        name, number = record.fields["name"], record.fields["id_number"]
        return {"name": name[:1] + "*" * (len(name) - 1),
                "id_number": number[:3] + "*" * (len(number) - 7) + number[-4:]}

    def _ours() -> None:
        for record in records:
            disclose(record, policy)

    def _theirs() -> None:
        for record in records:
            _by_hand(record)

    same = all(disclose(record, policy) == _by_hand(record) for record in records)
    rounds = SMALL_ROUNDS if small else ROUNDS
    ours_s, theirs_s = interleave(_ours, _theirs, rounds, RECORDS)
    return Result(
        measure=NAME, ours=round(ours_s * 1e6, 3), theirs=round(theirs_s * 1e6, 3), unit="us",
        ratio=round(ours_s / theirs_s, 3), against="the same two values by slices, no policy",
        n=RECORDS * rounds, settings={"fields": 2}, valid=same,
        why="" if same else "the values differ",
    )
