"""What a node holds of the city, as it is configured, and what keys of it demand of each other.

- Not here: reading the file (edge.settings), and holding (edge.holding).
"""

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edge.protocol.records import REGION_CHARS_MAX, REGION_PATTERN

_REGION = re.compile(REGION_PATTERN)
REGIONS_MAX = 1_000


class Holding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the node holds of the city's credentials and references.

    Attributes:
        mode: `all` that the feed brings; `region` = all of `regions`; `arrivals` = what lists of
            arrivals name; `demand` = what was asked for because its code was shown, which takes
            `central.lookup_ms`.
        regions: Codes of regions as the central platform gives them to holders, such as
            `["330203"]`; for the mode `region`.
        ttl_s: Seconds for which a credential stays that was asked for, other than in `all`.
        arrivals_s_max: Seconds ahead for which a list may have its credentials kept.
        arrivals_max: Document numbers in one list.
        arrivals_per_hour: Document numbers that one gate may name in an hour; more is 429.
        entries_max: Credentials that were asked for and are held at once, other than in `all`;
            those that end first go.
    """

    mode: Literal["all", "region", "arrivals", "demand"] = "all"
    regions: Annotated[tuple[str, ...], Meta(max_length=REGIONS_MAX)] = ()
    ttl_s: Annotated[int, Meta(ge=10, le=90 * 86_400)] = 86_400
    arrivals_s_max: Annotated[int, Meta(ge=60, le=90 * 86_400)] = 14 * 86_400
    arrivals_max: Annotated[int, Meta(ge=1, le=5_000)] = 500
    arrivals_per_hour: Annotated[int, Meta(ge=1, le=1_000_000)] = 2_000
    entries_max: Annotated[int, Meta(ge=10, le=5_000_000)] = 100_000


def wrong_holding(holding: Holding, lookup_ms: int) -> tuple[str, str] | None:
    """Give the key that doesn't go with the others, and what to do; None if all do."""
    if holding.mode == "demand" and not lookup_ms:
        return "holding.mode", (
            "demand takes central.lookup_ms above 0, or no credential is ever asked for")
    if holding.mode == "region" and not holding.regions:
        return "holding.regions", (
            'the mode region takes the codes of one region at least, such as ["330203"]')
    if holding.mode != "region" and holding.regions:
        return "holding.regions", (
            f'regions are held in the mode "region" only, and holding.mode is "{holding.mode}"')
    for region in holding.regions:
        if not _REGION.fullmatch(region):
            return "holding.regions", (
                f"{region[:REGION_CHARS_MAX + 1]!r} is no code of a region: up to "
                f"{REGION_CHARS_MAX} letters, digits, and . _ - behind the first, as the central "
                "platform gives them to holders")
    return None
