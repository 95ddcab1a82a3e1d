"""A platform and a node that never meet: what travels between them are files."""

import io
import json
from pathlib import Path

import msgspec

from central.admission import admit
from central.bundle import Site, export, take_journal
from central.config import CentralConfig
from central.platform import Platform
from edge.config import EdgeConfig
from edge.hotpath.holder import ProbeFault
from edge.models.engine import ReferenceDraft
from edge.parts import META_CENTRAL_URL, NO_NETWORK, open_store
from edge.protocol.bundle import BundledFile
from edge.protocol.feed import Change, Envelope, root_fingerprint
from edge.protocol.journal import EventRecord
from edge.sync.join import join, make_request
from edge.sync.journal_file import write_journal_file
from kanhe.node_folder import bring_bundle, open_node_folder

DAY_S = 86_400
NOW_S = 21_100 * DAY_S + 30_000


class NoFaces:
    """An enroller for platforms that enrol nobody here."""

    pack_id = "none"

    def make_reference_template(self, image: bytes) -> ReferenceDraft | ProbeFault:
        raise AssertionError("no photograph is enrolled in these tests")


class Packs:
    """Remembers the files of packs that came."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str], bytes] = {}
        self.ended = False

    def begin(self, pack: str, file: BundledFile) -> None:
        self._at = (pack, file.name)
        self.files[self._at] = b""

    def write(self, data: bytes) -> None:
        self.files[self._at] += data

    def end(self) -> None:
        self.ended = True


class PlatformSide:
    def __init__(self, folder: Path, *, ahead: int = 30) -> None:
        self.now = float(NOW_S)
        self.platform = Platform(
            CentralConfig(data_dir=folder, node_ahead_days=ahead), NoFaces(),
            lambda: self.now)

    async def start(self) -> "PlatformSide":
        await self.platform.start()
        config = self.platform.config
        self.site = Site(
            database=self.platform.database, keys=self.platform.keys, roots=(self.platform.root,),
            log=config.log, node_ahead_days=config.node_ahead_days)
        return self

    @property
    def fingerprint(self) -> str:
        return root_fingerprint(msgspec.msgpack.decode(self.platform.root, type=Envelope).body)

    async def publish(self, *changes: Change) -> None:
        def work(tx):
            for change in changes:
                tx.publish(change)

        await self.platform.database.run(work)

    async def admit(self, request: bytes) -> bytes:
        answer = await admit(self.platform.database, self.platform.root,
                             self.platform.config.log, request)
        return msgspec.json.encode(answer)

    async def bundle(self, node_id: str, **more) -> bytes:
        out = io.BytesIO()
        await export(self.site, out, node_id, **more)
        return out.getvalue()

    async def take(self, data: bytes):
        return await take_journal(self.platform.database, io.BytesIO(data))


class NodeSide:
    def __init__(self, folder: Path, *, ahead: int = 30) -> None:
        self.now = float(NOW_S)
        self.config_file = folder.with_suffix(".toml")
        self.config_file.write_text(f'data_dir = "{folder}"\n[keys]\ndays_ahead = {ahead}\n')
        self.config = EdgeConfig(data_dir=folder)

    async def join(self, platform: PlatformSide) -> "NodeSide":
        key, store = open_store(self.config)
        request = msgspec.json.encode(make_request("isle", key.signing, key.seal_public))
        answer = await platform.admit(request)
        join(store, answer, fingerprint=platform.fingerprint, name="isle",
             more={META_CENTRAL_URL: NO_NETWORK.encode()})
        store.close()
        self.node_id = json.loads(answer)["node_id"]
        return self

    async def bring(self, data: bytes, packs: Packs | None = None):
        with open_node_folder(self.config_file) as folder:
            return await bring_bundle(
                folder, io.BytesIO(data), packs or Packs(), lambda: self.now)

    async def note(self, count: int) -> None:
        with open_node_folder(self.config_file) as folder:
            for number in range(count):
                await folder.journal.append(
                    EventRecord(at_ms=int(self.now * 1000), event="test", detail={"n": number}))

    def journal_file(self) -> bytes:
        out = io.BytesIO()
        with open_node_folder(self.config_file) as folder:
            write_journal_file(
                out, folder.journal, folder.key.signing, node_id=folder.node_id,
                report=folder.report(self.now), at_s=int(self.now))
        return out.getvalue()

    def held(self) -> dict[str, object]:
        """Give everything that a refused bundle must not change."""
        with open_node_folder(self.config_file) as folder:
            report = folder.report(self.now)
            return {
                "cursor": report.cursor, "held": report.held, "size": folder.journal.size,
                "keys": [k.key_epoch for k in folder.store.epochs()],
                "acknowledged": folder.journal.acknowledged, "age": report.status_age_s}
