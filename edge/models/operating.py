"""Operating points: the pack maker's own, and those measured on a site's images.

- Site points lie beside the pack in a file that the node's key signs: a threshold decides
  who passes, so a file that somebody else put there isn't believed.
- The signature covers the exact text of the statement, under a context of its own.
- Not here: measuring (kanhe.calibration); which point serves a scene (edge.pipeline.thresholds).
"""

from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from edge.errors import PackError
from edge.files import write_file
from edge.hotpath.rates import Point
from edge.models.manifest import PackManifest
from edge.models.shelf import installed

SITE_FILE = "operating-points.json"
SITE_BYTES_MAX = 256 * 1024
CONTEXT = b"kanhe/operating-points/1\x00"


class SitePoint(msgspec.Struct, frozen=True, kw_only=True):
    """A threshold fitted to a site's images, its rates there and their 95 % intervals.

    Attributes:
        fmr: The rate it was fitted for.
        errors: Impostor errors behind it.
        fmr_low, fmr_high: Interval of the rate at the threshold.
        fnmr, fnmr_low, fnmr_high: Failures to acquire are errors; None without genuine pairs.
    """

    fmr: float
    threshold: float
    errors: int
    fmr_low: float
    fmr_high: float
    fnmr: float | None = None
    fnmr_low: float | None = None
    fnmr_high: float | None = None


class SiteCalibration(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, when, and on how much."""

    format: int = 1
    pack: str
    measured_s: int
    persons: int
    images: int
    failures: int
    genuine: int
    impostor: int
    points: tuple[SitePoint, ...]


class SignedCalibration(msgspec.Struct, frozen=True, kw_only=True):
    """A statement and who signed it; key and signature hex, empty where nobody did."""

    statement: str
    public: str = ""
    signature: str = ""


def pack_points(manifest: PackManifest) -> tuple[Point, ...]:
    """Give the maker's own points."""
    return tuple(
        Point(fmr=point.fmr, threshold=point.threshold, fnmr=point.fnmr)
        for point in manifest.operating_points
    )


def shelf_points(packs_dir: Path) -> dict[str, tuple[Point, ...]]:
    """Give the makers' own points of every pack on a shelf, by pack id."""
    return {manifest.id: pack_points(manifest) for manifest in installed(packs_dir).values()
            if isinstance(manifest, PackManifest)}


def write_site_calibration(
    folder: Path, calibration: SiteCalibration, key: Ed25519PrivateKey | None
) -> Path:
    """Write a calibration into a folder, signed if there is a key; whole or not at all.

    Raises:
        PackError: It can't be written.
    """
    statement = msgspec.json.encode(calibration).decode()
    signed = SignedCalibration(statement=statement)
    if key is not None:
        signed = SignedCalibration(
            statement=statement, public=key.public_key().public_bytes_raw().hex(),
            signature=key.sign(CONTEXT + statement.encode()).hex(),
        )
    path = folder / SITE_FILE
    try:
        write_file(path, msgspec.json.encode(signed))
    except OSError as error:
        raise PackError(f"{path} can't be written: {error.strerror}") from error
    return path


def read_site_calibration(folder: Path, public: bytes) -> SiteCalibration | None:
    """Read a calibration that this key signed; None if there is no file.

    Raises:
        PackError: It can't be read, or isn't signed by the key; the message says what to do.
    """
    path = folder / SITE_FILE
    try:
        data = path.read_bytes()
        if len(data) > SITE_BYTES_MAX:
            raise PackError(f"{path} is too large for operating points")
        signed = msgspec.json.decode(data, type=SignedCalibration)
        if signed.public != public.hex():
            raise PackError(
                f"{path} isn't signed by this node: measure again with `kanhe models calibrate "
                "--config` and this node's configuration"
            )
        Ed25519PublicKey.from_public_bytes(public).verify(
            bytes.fromhex(signed.signature), CONTEXT + signed.statement.encode())
        return msgspec.json.decode(signed.statement, type=SiteCalibration)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PackError(f"{path} can't be read: {error.strerror}") from error
    except (InvalidSignature, ValueError, msgspec.MsgspecError) as error:
        raise PackError(f"{path} is damaged or was altered: remove it and measure again") from error


def site_points(folder: Path, pack: str, public: bytes) -> tuple[tuple[Point, ...], str]:
    """Give the site's points that may be believed, and why there are none.

    Returns:
        Points, and words where a file was there and isn't used.
    """
    try:
        calibration = read_site_calibration(folder, public)
    except PackError as error:
        return (), str(error)
    if calibration is None:
        return (), ""
    if calibration.pack != pack:
        return (), f"{folder / SITE_FILE} was measured with the pack {calibration.pack!r}"
    return tuple(
        Point(fmr=point.fmr, threshold=point.threshold, fnmr=point.fnmr)
        for point in calibration.points
    ), ""
