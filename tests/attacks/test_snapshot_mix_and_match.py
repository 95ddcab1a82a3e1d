"""Mix and match: pieces that are genuine, each by itself, are put together anew."""

from edge.protocol.feed import DropCredential, EpochsChanged
from edge.sync.envelope import Rule
from edge.sync.snapshot import trust_timestamp
from tests.attacks.feed_story import GRANTED, NOW_S, REVOKED, refused
from tests.attacks.snapshot_story import HELD, at, believed
from tests.fakes.feed_forge import Forge, envelope
from tests.fakes.snapshot_forge import KEYS, Forged


def test_snapshot_that_the_timestamp_does_not_name_is_refused():
    forge = Forge(NOW_S)
    one, other = Forged(forge, HELD, cursor=3), Forged(forge, HELD, cursor=4)
    trusted = trust_timestamp(at(forge), one.timestamp, NOW_S)
    assert len(one.snapshot) == len(other.snapshot)
    with refused(Rule.DIGEST):
        trusted.snapshot(other.snapshot, NOW_S)


def test_version_that_differs_between_timestamp_and_snapshot_is_refused():
    forge = Forge(NOW_S)
    with refused(Rule.ORDER):
        believed(at(forge), Forged(forge, HELD, version=2, named={"version": 3}))


def test_parts_swapped_within_a_snapshot_are_refused():
    forge = Forge(NOW_S)
    forged = Forged(forge, [GRANTED], [GRANTED])
    snapshot = believed(at(forge), forged)
    with refused(Rule.DIGEST):
        snapshot.part(0, forged.parts[1], KEYS)


def test_part_sealed_for_another_log_is_refused():
    forge, theirs = Forge(NOW_S), Forge(NOW_S, log="elsewhere")
    other = Forged(theirs, [GRANTED])
    forged = Forged(forge, [GRANTED], said={"parts": other.body.parts})
    with refused(Rule.CONTENT):
        believed(at(forge), forged).part(0, other.parts[0], KEYS)


def test_metadata_of_another_log_is_refused():
    forge = Forge(NOW_S)
    with refused(Rule.LOG):
        trust_timestamp(at(forge), Forged(forge, named={"log": "other"}).timestamp, NOW_S)
    with refused(Rule.LOG):
        believed(at(forge), Forged(forge, said={"log": "other"}))


def test_one_role_cannot_stand_in_for_another():
    forge = Forge(NOW_S)
    forged = Forged(forge, HELD)
    as_timestamp = envelope(forged.body, forge.keys.timestamp[0])
    with refused(Rule.KIND):
        trust_timestamp(at(forge), as_timestamp, NOW_S)
    with refused(Rule.SIGNATURES):
        trust_timestamp(at(forge), forge.batch(0), NOW_S)


def test_part_holds_records_to_put_and_nothing_else():
    forge = Forge(NOW_S)
    for change in (DropCredential(bytes(16)), EpochsChanged(1)):
        forged = Forged(forge, [REVOKED, change])
        with refused(Rule.CONTENT):
            believed(at(forge), forged).part(0, forged.parts[0], KEYS)


def test_number_of_changes_in_a_part_is_the_one_said():
    forge = Forge(NOW_S)
    forged = Forged(forge, HELD, part_said={"changes": 3})
    with refused(Rule.CONTENT):
        believed(at(forge), forged).part(0, forged.parts[0], KEYS)
