"""A real node of a small site, enrolled at a real central platform, to be started again and again.

- Everything is as in the demo: processes, configuration, five holders with photographs.
- The packs' folder is kept, so that the face pack is made once and not within a measurement.
"""

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.harness import Result
from kanhe.demo.city import City

PACKS = Path("var/packs")


def with_city(measure: Callable[[City], Result]) -> Result:
    """Give what `measure` finds in a city whose node is ready and in step with the platform."""

    async def found(city: City) -> None:
        """Start platform and node, and fill them."""
        await city.start_central()
        code = (await city.admin("POST", "/v1/node-codes"))["code"]
        city.start_node(code)
        await city.found()

    with tempfile.TemporaryDirectory(prefix="kanhe-bench-") as name:
        city = City(Path(name), PACKS)
        try:
            asyncio.run(found(city))
            return measure(city)
        finally:
            city.stop()


def cpu_s(pid: int) -> float:
    """Give the processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_anon_mib(pid: int) -> float:
    """Give the anonymous resident memory of a process: its own, not the files it maps."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this kernel doesn't tell RssAnon")
