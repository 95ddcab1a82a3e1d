"""Ninety days without the platform: the node's real parts, a clock that runs fast."""

import asyncio
import datetime
import itertools
import time
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from central.config import CentralConfig
from central.keys import PlatformKeys, load_signing_key
from central.roots import ROOT_FILE, Rotation, draft_root, first_root
from edge.access.accounts import Account
from edge.access.sessions import Sessions
from edge.access.tls import LocalAuthority
from edge.audit.journal import FileJournal, JournalOptions
from edge.audit.verify import verify_journal
from edge.cache.guard import MappedReplayGuard
from edge.cache.store import LmdbStore
from edge.clock import SystemClock
from edge.clock.codes import VOTES_MIN
from edge.clock.kernel import KernelTime
from edge.errors import FeedRefused
from edge.hotpath.keys import KeyRing
from edge.hotpath.merkle import hash_leaf
from edge.hotpath.wallet import derive_wallet_keys, make_presentation
from edge.imaging import DEFAULT_LIMITS
from edge.node_key import load_or_create_node_key
from edge.parts import judged_before
from edge.pipeline.calls import VerificationCall
from edge.pipeline.verify import Verifier
from edge.pipeline.workers import WorkerPool
from edge.protocol.feed import (
    PutCredential,
    PutPolicy,
)
from edge.protocol.journal import EventRecord, Receipt, VerificationRecord, decode_record
from edge.protocol.kh1 import step_at
from edge.sync.absent import AbsentCentral
from edge.sync.follower import Follower
from edge.sync.options import FollowerOptions
from edge.vigil import KEYS_ENDING_DAYS, Vigil, keys_end
from tests.fakes.city import credential, epoch, gate, id_of, policy
from tests.fakes.ports import FakeFace, FakeReader, Seen
from tests.offline.site import DAY_S, NOW_S, NodeSide, PlatformSide

AHEAD = 90
RESTART_EVERY_DAYS = 7
REBOOT_DAY = 45
ROOT_DAYS = 30
HOLDERS = [f"holder-{number}" for number in range(VOTES_MIN + 2)]
TURNING = FollowerOptions(retry_first_s=0.001, retry_max_s=0.002, epochs_ahead=AHEAD)


class Isle:
    """A node on an island: everything of it that time passes through, on its own folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now, self.anchor, self.boot = float(NOW_S), 1_000.0, "boot-1"
        self.kernel = KernelTime()
        self.key = load_or_create_node_key(folder / "node.key")
        self.ids = itertools.count(1)
        self.trust = None

    async def start(self) -> None:
        self.store = LmdbStore(self.folder / "cache", self.key.derive)
        self.journal = FileJournal(
            self.folder / "journal", self.key.signing,
            JournalOptions(segment_bytes=64 * 1024), lambda: self.now)
        self.clock = SystemClock(
            now=lambda: self.now, anchor=lambda: self.anchor, kernel=lambda: self.kernel,
            folder=self.folder, boot_id=self.boot)
        floor = step_at(max(self.now, self.clock.highest_s)) + 1
        self.guard = MappedReplayGuard(
            self.folder / "guard", self.key.derive, boot_id=self.boot.encode(),
            restart_floor=floor if judged_before(self.journal) else 0)
        if self.guard.forgot:
            self.clock.recover()
        self.authority = LocalAuthority(self.folder / "tls", (), self.date)
        self.sessions = Sessions(self.key.derive(b"sessions"))
        self.pools = WorkerPool("code", 1, 4), WorkerPool("face", 1, 4)
        self.verifier = Verifier(
            trust=lambda: self.trust, clock=self.clock, cache=self.store, guard=self.guard,
            journal=self.journal, reader=FakeReader(), face=FakeFace(), rates=None,
            code_pool=self.pools[0], face_pool=self.pools[1], observer=Seen(),
            new_id=lambda: f"{next(self.ids):032x}", monotonic=time.monotonic,
            image_limits=DEFAULT_LIMITS, answers_kept_s=600.0)
        for index, data in self.journal.recent(self.journal.first_since(self.now - 600)):
            record = decode_record(data)
            if isinstance(record, VerificationRecord):
                self.verifier.answers.restore(
                    record, Receipt(self.journal.log, index, hash_leaf(data).hex()),
                    self.now - record.at_ms / 1e3)
        self.follower = Follower(
            central=AbsentCentral(), store=self.store, seal_private=self.key.sealing,
            publish=self._publish, now=lambda: self.now, options=TURNING, jitter=lambda: 0.0,
            may_forget=lambda: self.clock.state != "untrusted")
        self.vigil = Vigil(
            clock=self.clock, trust=lambda: self.trust, note=self.note, days_ahead=AHEAD)
        await self.follower.start()

    async def stop(self) -> None:
        await self.follower.stop()
        await self.vigil.stop()
        for pool in self.pools:
            pool.close()
        self.journal.close()
        self.guard.close()
        self.store.close()

    async def reboot(self) -> None:
        await self.stop()
        self.boot, self.anchor = self.boot + "+", 10.0
        await self.start()

    @property
    def date(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self.now, datetime.UTC)

    async def note(self, event: str, detail: dict[str, str | int | float]) -> None:
        await self.journal.append(
            EventRecord(at_ms=int(self.now * 1000), event=event, detail=detail))

    async def passes(self, seconds: float) -> None:
        """Let time pass, and the follower take a turn in the new time."""
        self.now += seconds
        self.anchor += seconds
        failures = self.follower.status.failures
        while self.follower.status.failures < failures + 2:
            await asyncio.sleep(0.001)
        await self.vigil.look()

    def code(self, holder: str, step: int | None = None) -> str:
        """What the wallet of a holder shows, whose phone had its keys of the platform."""
        step = step_at(self.now) if step is None else step
        epoch = self.wallets[step * 5 // DAY_S]
        return make_presentation(derive_wallet_keys(epoch, 1, id_of(holder)), step)

    async def ask(self, code: str, request: str):
        outcome = await self.verifier.verify(VerificationCall(
            gate=gate(), scene="hotel.checkin", request_id=request, presentation=code,
            code_image=None, challenge_id=None, face_images=(), deadline_s=time.monotonic() + 5))
        return outcome.answer

    def events(self, name: str) -> list[EventRecord]:
        records = (decode_record(data) for _, data in self.journal.recent(0))
        return [r for r in records if isinstance(r, EventRecord) and r.event == name]

    def _publish(self, trust) -> None:
        self.trust = trust


@pytest.fixture
async def isle(tmp_path):
    # The root expires while the node is alone.
    keys = PlatformKeys(tmp_path / "central" / "keys")
    (tmp_path / "central" / ROOT_FILE).write_bytes(
        first_root(keys, CentralConfig().log, NOW_S, ROOT_DAYS * DAY_S))
    platform = PlatformSide(tmp_path / "central", ahead=AHEAD)
    await platform.start()
    node = await NodeSide(tmp_path / "edge", ahead=AHEAD).join(platform)
    await platform.publish(
        *(PutCredential(credential(holder)) for holder in HOLDERS),
        PutPolicy(policy(face="off", version=99)))
    await node.bring(await platform.bundle(node.node_id))
    isle = Isle(tmp_path / "edge")
    isle.platform, isle.node = platform, node
    store = LmdbStore(tmp_path / "edge" / "cache", isle.key.derive)
    isle.wallets = {keys.key_epoch: keys for keys in KeyRing.derive(store.epochs())}
    store.close()
    await isle.start()
    yield isle
    await isle.stop()
    await platform.platform.stop()


async def test_ninety_days_alone_with_restarts_and_a_reboot(isle):
    account = Account(name="wen", role="operator", password_hash="", generation=1)
    certificates, pin = set(), isle.authority.pin
    for day in range(AHEAD + 1):
        if day:
            await isle.passes(DAY_S)
        if day and day % RESTART_EVERY_DAYS == 0:
            await isle.stop()
            await isle.start()
        if day == REBOOT_DAY:
            await isle.reboot()
            await until_vouched(isle)
        today = isle.now // DAY_S
        answer = await isle.ask(isle.code("holder-0"), f"day-{day}")
        assert (answer.reason, answer.evidence.mode) == ("ok", "offline"), day
        assert await isle.ask(isle.code("holder-0"), f"day-{day}") == answer
        again = await isle.ask(isle.code("holder-0"), f"day-{day}-again")
        assert again.reason == "presentation_replayed"
        # Yesterday's keys are gone from memory and disk, the coming ones are held.
        assert min(isle.trust.keys.key_epochs) == today - 1
        assert min(keys.key_epoch for keys in isle.store.epochs()) == today - 1
        assert isle.trust.status_age_s(isle.now) // DAY_S == day
        isle.authority.renew(isle.date)
        certificates.add(served(isle.folder).serial_number)
        assert served(isle.folder).not_valid_after_utc > isle.date
        _, cookie = isle.sessions.begin(account, isle.now)
        assert isle.sessions.read(cookie, isle.now) is not None
    assert isle.follower.believer.base.root.expires_s < isle.now
    assert len(certificates) == 2
    assert isle.authority.pin == pin
    warned: dict[object, int] = {}
    for event in isle.events("keys.ending"):
        warned.setdefault(event.detail["within_days"], event.at_ms // 1000 // DAY_S)
    last = NOW_S // DAY_S + AHEAD
    assert warned == {days: last + 1 - days for days in KEYS_ENDING_DAYS}
    assert list(warned) == sorted(warned, reverse=True)

    # The keys end on their day, and with them what can be said: never "invalid".
    await isle.passes(DAY_S)
    assert len(isle.trust.keys.key_epochs) == 1
    late = await isle.ask(isle.code("holder-0", step_at(isle.now) - 17_280), "yesterday")
    assert late.reason == "step_expired"
    today = int(isle.now // DAY_S)
    isle.wallets |= {keys.key_epoch: keys for keys in KeyRing.derive([epoch(today)])}
    answer = await isle.ask(isle.code("holder-0"), "beyond")
    assert (answer.reason, answer.decision) == ("key_epoch_unknown", "refer")


async def until_vouched(isle) -> None:
    """After a reboot nothing is judged before many holders' phones agree with the clock."""
    for number, holder in enumerate(HOLDERS):
        answer = await isle.ask(isle.code(holder), f"{holder}-{isle.now}")
        if number < VOTES_MIN:
            assert (answer.reason, answer.decision) == ("clock_untrusted", "refer")
        await isle.passes(1)
    assert isle.clock.state == "trusted"
    await isle.passes(15)


async def test_a_bundle_after_ninety_days_takes_the_journal_back_and_serves_on(isle):
    for day in range(AHEAD + 2):
        await isle.passes(DAY_S)
        for number in range(3):
            await isle.ask(isle.code(f"holder-{number}") if day < AHEAD else "KH1:BB8",
                           f"{day}-{number}")
    assert not isle.trust.keys.key_epochs or max(isle.trust.keys.key_epochs) < isle.now // DAY_S
    size = isle.journal.size
    await isle.stop()
    isle.platform.now = isle.node.now = isle.now
    file = isle.node.journal_file()
    assert (await isle.platform.take(file)).next == size
    with pytest.raises(FeedRefused, match="root version 1 has expired"):
        await isle.node.bring(await isle.platform.bundle(isle.node.node_id))
    keys = isle.platform.platform.keys
    newer = draft_root(isle.platform.site.roots[-1], keys, Rotation(
        renew=frozenset(), signers=(load_signing_key(keys.root_path),)), int(isle.now))
    isle.platform.site = msgspec.structs.replace(
        isle.platform.site, roots=(*isle.platform.site.roots, newer))
    brought = await isle.node.bring(await isle.platform.bundle(isle.node.node_id))
    assert brought.acknowledged == size
    # Measured: what a day of records takes on disk, for docs/offline.md.
    disk = sum(path.stat().st_size for path in (isle.folder / "journal").glob("*.journal"))
    assert 150 * size < disk < 700 * size
    assert verify_journal(isle.folder / "journal").whole
    await isle.start()
    store = {keys.key_epoch: keys for keys in KeyRing.derive(isle.store.epochs())}
    isle.wallets |= store
    assert (await isle.ask(isle.code("holder-0"), "after")).reason == "ok"


async def test_a_clock_set_far_ahead_deletes_no_key(isle):
    held = isle.trust.keys.key_epochs
    isle.now += 60 * DAY_S
    failures = isle.follower.status.failures
    while isle.follower.status.failures < failures + 3:
        await asyncio.sleep(0.001)
    await isle.vigil.look()
    assert isle.clock.state == "untrusted"
    assert isle.trust.keys.key_epochs == held
    assert not isle.events("keys.ending")
    changed = isle.events("clock.changed")
    assert changed[-1].detail["state"] == "untrusted"
    isle.now -= 60 * DAY_S
    await isle.passes(5)
    assert (await isle.ask(isle.code("holder-0"), "back")).reason == "ok"
    assert isle.trust.keys.key_epochs == held


async def test_a_reboot_with_the_clock_set_back_accepts_no_spent_code_whoever_vouches(isle):
    spent, at = isle.code("holder-0"), isle.now
    assert (await isle.ask(spent, "first")).reason == "ok"
    await isle.passes(600)
    await isle.stop()
    isle.now, isle.anchor, isle.boot = at, 10.0, "boot-2"
    await isle.start()
    assert (await isle.ask(spent, "again")).reason == "clock_untrusted"
    # Somebody who got hold of what keeps the clock in step doesn't get further.
    isle.kernel = KernelTime(synchronised=True, error_s_max=0.01)
    isle.anchor += 10
    isle.now += 1
    assert isle.clock.state == "trusted"
    assert (await isle.ask(spent, "once more")).reason == "presentation_replayed"


@pytest.mark.parametrize("left_days,ahead,within", [
    (14.01, 90, None), (13.99, 90, 14), (6.99, 90, 7), (2.99, 90, 3), (0.99, 90, 1),
    (1.5, 1, None), (0.99, 1, 1), (2.5, 3, 3), (6.5, 3, None)])
def test_the_end_of_the_keys_is_said_in_time_and_only_where_it_isnt_always_so(
        left_days, ahead, within):
    day = 21_100
    now = (day + 20 - left_days) * DAY_S
    found = keys_end(tuple(range(day, day + 20)), now, ahead)
    assert found.ends_s == (day + 20) * DAY_S
    assert found.within_days == within


def test_keys_with_a_gap_end_at_the_gap_and_none_for_today_is_the_end():
    assert keys_end((21_100, 21_101, 21_103), 21_100 * DAY_S, 90).ends_s == 21_102 * DAY_S
    assert keys_end((21_099,), 21_100 * DAY_S, 90).ends_s is None
    assert keys_end((), 21_100 * DAY_S, 90).within_days == 1


def served(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "tls" / "server.crt").read_bytes())
