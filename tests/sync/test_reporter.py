"""Reports to the platform: nothing that a report meets ends the reporting or the node's stop."""

import asyncio

import pytest

from edge.errors import CentralError, FeedRefused, StoreError
from edge.sync.reporter import Reporter


class Central:
    """Takes reports, or meets them with an error."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked = self.taken = 0

    async def report(self, report) -> None:
        self.asked += 1
        if self.error is not None:
            raise self.error
        self.taken += 1


async def until(holds):
    async with asyncio.timeout(5.0):
        while not holds():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("error", [
    CentralError("not in reach"), FeedRefused("a compressed answer was not asked for"),
    RuntimeError("a fault of ours"),
])
async def test_reporting_goes_on_after_an_answer_that_is_none(error):
    central = Central()
    central.error = error
    reporter = Reporter(central, object, every_s=0.001)
    reporter.start()
    await until(lambda: central.asked > 2)
    central.error = None
    await until(lambda: central.taken > 2)
    await reporter.stop()
    await reporter.stop()


async def test_a_report_that_cant_be_made_now_is_made_later():
    central, failing = Central(), True

    def report():
        if failing:
            raise StoreError("the disk is away")
        return object()

    reporter = Reporter(central, report, every_s=0.001)
    reporter.start()
    await asyncio.sleep(0.02)
    failing = False
    await until(lambda: central.taken > 2)
    await reporter.stop()
