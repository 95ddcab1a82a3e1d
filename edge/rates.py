"""Builds what decides thresholds: measured points, the cohort, its calibration; says who is unfit.

- The cohort begins before the feed does and follows the store from then on.
- A scene that the pack can't serve is said when that becomes so: in the log, in the journal,
  and in the status for as long as it lasts.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from edge.cache.cohort import Cohort
from edge.cache.store import LmdbStore
from edge.errors import OperatingError
from edge.hotpath.fitness import Source
from edge.hotpath.normalise import IDENTITIES_MIN, TOP_MIN, cohort_mean, view_of
from edge.hotpath.rates import identification_fmr
from edge.models.manifest import PackManifest
from edge.models.operating import pack_points, site_points
from edge.pipeline.renewal import Note, Renewal
from edge.pipeline.thresholds import SceneRates
from edge.protocol.records import GateRecord, ScenePolicy
from edge.tasks import end_task
from edge.web.status import CohortShown, SceneFace

_LOG = logging.getLogger(__name__)
CHECK_S = 5.0
"""Between two looks at cohort and scenes."""


class NodeRates:
    """The node's thresholds.

    Attributes:
        scenes: What the verifier asks.
    """

    def __init__(
        self, folder: Path, manifest: PackManifest, public: bytes, store: LmdbStore, *,
        policies: Callable[[], Mapping[str, ScenePolicy]], note: Note, now: Callable[[], float],
        searched: Callable[[], int] = lambda: 0,
    ) -> None:
        """Read points and references.

        Args:
            folder: Of the pack.
            manifest: Of the pack.
            public: The node's signing key; site points signed by another aren't believed.
            store: Of the references.
            policies: In force now.
            note: Journals an event.
            now: Unix seconds.
            searched: References in the gallery, whose size says what a search needs.
        """
        self._manifest, self._store, self._searched = manifest, store, searched
        self._policies, self._note = policies, note
        sources: list[Source] = [("pack", pack_points(manifest))]
        site, why = site_points(folder, manifest.id, public)
        if site:
            sources.insert(0, ("site", site))
        elif why:
            _LOG.warning("calibration.site_ignored", extra={"why": why})
        self._said: dict[tuple[str, str], str] = {}
        self._task: asyncio.Task[None] | None = None
        self._cohort: Cohort | None = None
        self._renewal: Renewal | None = None
        if manifest.normalise:
            self._cohort = cohort = Cohort(manifest.id, manifest.dimensions, store.rank)
            store.add_sink(cohort)
            cohort.refill(self._references())
            self._renewal = Renewal(cohort=lambda: cohort.view, fmrs=self._fmrs, note=note, now=now)
        self.scenes = SceneRates(
            sources,
            cohort=lambda: self._cohort.view if self._cohort else None,
            calibration=lambda: self._renewal.calibration if self._renewal else None,
        )

    @property
    def identities(self) -> int | None:
        """Count the cohort, None for a pack that isn't normalised."""
        return len(self._cohort.view) if self._cohort else None

    def warm(self) -> None:
        """Compile the loop that the first verification would otherwise wait for."""
        rows = np.ones((TOP_MIN, self._manifest.dimensions), np.int8)
        cohort_mean(view_of(0, rows, ()), rows[0], None)

    def start(self) -> None:
        """Begin to look after cohort and scenes."""
        self._task = asyncio.create_task(self._run(), name="kanhe-rates")

    async def stop(self) -> None:
        """End it; a calibration under way isn't put in force any more."""
        task, self._task = self._task, None
        await end_task(task)

    async def tend(self) -> None:
        """Say which scenes have become unfit, and bring cohort and calibration up to date.

        Raises:
            OperatingError: Something can't be read or journalled; the rest stays as it was.
        """
        unfit = {(shown.scene, kind): why for shown in self.shown()
                 for kind, why in (("", shown.why), ("search", shown.search_why)) if why}
        for (scene, kind), why in unfit.items():
            if self._said.get((scene, kind)) != why:
                detail: dict[str, str | int | float] = {
                    "scene": scene, "why": why, "pack": self._manifest.id}
                if kind:
                    detail["searched"] = self._searched()
                _LOG.warning("pack.unfit", extra=detail)
                await self._note("pack.unfit", detail)
        self._said = unfit
        if self._cohort is not None and self._cohort.wants_refill:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, self._cohort.refill, self._references())
        if self._renewal is not None:
            await self._renewal.renew_if_due()

    async def _run(self) -> None:
        while True:
            try:
                await self.tend()
            except OperatingError as error:
                _LOG.warning("calibration.failed", extra={"why": str(error)})
            except Exception:
                # A fault of ours must not end in thresholds that silently grow old.
                _LOG.exception("calibration.fault")
            await asyncio.sleep(CHECK_S)

    def shown(self) -> tuple[SceneFace, ...]:
        """Say of every scene with a face how it is judged."""
        calibration = self._renewal.calibration if self._renewal else None
        found = []
        for scene, policy in sorted(self._policies().items()):
            if policy.face == "off":
                continue
            fitness = self.scenes.fitness(policy)
            point, cohort = fitness.point, None
            if point is not None and calibration is not None:
                cohort = calibration.point(policy.fmr_max)
            found.append(SceneFace(
                scene=scene, fit=not fitness.why, why=fitness.why,
                override=policy.pack_override if fitness.why else "",
                fmr_max=policy.fmr_max, fnmr_max=policy.fnmr_max,
                fmr=cohort.fmr if cohort else point.fmr if point else None,
                fnmr=point.fnmr if point else None,
                threshold=cohort.threshold if cohort else point.threshold if point else None,
                scale="normalised" if cohort else "raw",
                calibration="cohort" if cohort else fitness.maker,
                **self._search(policy),
            ))
        return tuple(found)

    def unserved(self, gates: Iterable[GateRecord]) -> tuple[str, ...]:
        """Name the scenes that one of these gates may ask for and that the pack can't serve.

        A policy that nobody can ask for harms nobody: `shown` says how it would be judged.
        """
        asked = {scene for gate in gates for scene in gate.scenes}
        return tuple(item.scene for item in self.shown()
                     if item.why and not item.override and item.scene in asked)

    def _search(self, policy: ScenePolicy) -> dict[str, Any]:
        """Say whether the pack serves a search of the gallery as large as it is now."""
        if policy.identification != "allowed":
            return {}
        fmr = identification_fmr(policy.fpir_max, max(1, self._searched()))
        why = self.scenes.fitness(msgspec.structs.replace(policy, fmr_max=fmr)).why
        return {"search_fit": not why, "search_why": why, "search_fmr": fmr}

    def shown_cohort(self) -> CohortShown | None:
        """Say how the cohort is, None for a pack that isn't normalised."""
        if self._cohort is None or self._renewal is None:
            return None
        view, calibration = self._cohort.view, self._renewal.calibration
        return CohortShown(
            identities=len(view), identities_min=IDENTITIES_MIN, version=view.version,
            calibrated_version=calibration.version if calibration else None,
            renewed_s=self._renewal.renewed_s, points=calibration.points if calibration else (),
        )

    def _fmrs(self) -> set[float]:
        return {policy.fmr_max for policy in self._policies().values() if policy.face != "off"}

    def _references(self) -> Iterator[tuple[bytes, npt.NDArray[np.int8]]]:
        for holder_id, record in self._store.references(self._manifest.id):
            yield holder_id, np.frombuffer(record.template, np.int8)
