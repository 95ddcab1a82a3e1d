"""`frame-to-text`: a camera frame with a phone that shows a code, bytes to text.

- Ours: the frame reader. Theirs: a full-size grey decode and one zxing-cpp pass with
  default options, on the same frames, all of which it reads.
- Default options look for every kind of barcode; `settings` say the ratio against the same pass
  for QR codes only, which is the harder comparison.
"""

import os

import simplejpeg
import zxingcpp

from bench.harness import Result, interleave
from edge.capture.reader import FrameReader
from edge.hotpath.keys import DerivedKeys
from edge.hotpath.wallet import derive_wallet_keys, make_presentation
from edge.protocol.kh1 import SUITE_COMPACT
from edge.protocol.records import EpochKeys
from kanhe.demo.frames import EASY, HARD, USUAL, phone_frame

NAME = "frame-to-text"
FRAMES = 200
SMALL_FRAMES = 12
ROUNDS = 7
QR_ONLY = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
_DAY = 21_000


def make_frames(count: int) -> list[tuple[str, bytes]]:
    """Draw frames of distinct codes under conditions from easy to hard."""
    epoch = DerivedKeys(
        EpochKeys(key_epoch=_DAY, master=os.urandom(32), seal_private=os.urandom(32))
    )
    frames = []
    for seed in range(count):
        keys = derive_wallet_keys(epoch, SUITE_COMPACT, os.urandom(16))
        text = make_presentation(keys, _DAY * 17_280 + seed)
        conditions = (EASY, USUAL, HARD)[seed % 3]
        frames.append((text, phone_frame(text, seed=seed, conditions=conditions)))
    return frames


def run(small: bool) -> Result:
    """Time both over the same frames."""
    reader = FrameReader()
    frames = [
        frame for frame in make_frames(SMALL_FRAMES if small else FRAMES)
        if any(code.text == frame[0] for code in read_default(frame[1]))
    ]
    wrong = [text for text, jpeg in frames if reader.read(jpeg).texts != (text,)]

    def _ours() -> None:
        for _, jpeg in frames:
            reader.read(jpeg)

    def _theirs() -> None:
        for _, jpeg in frames:
            read_default(jpeg)

    def _theirs_qr_only() -> None:
        for _, jpeg in frames:
            plane = simplejpeg.decode_jpeg(jpeg, "GRAY")[:, :, 0]
            zxingcpp.read_barcodes(plane, formats=QR_ONLY)

    rounds = 2 if small else ROUNDS
    ours_s, theirs_s = interleave(_ours, _theirs, rounds, len(frames))
    ours_again_s, qr_only_s = interleave(_ours, _theirs_qr_only, min(rounds, 3), len(frames))
    return Result(
        measure=NAME, ours=round(ours_s * 1e3, 3), theirs=round(theirs_s * 1e3, 3), unit="ms",
        ratio=round(ours_s / theirs_s, 3),
        against="simplejpeg grey decode + one zxingcpp.read_barcodes with default options",
        n=len(frames), settings={"size": "1280x720", "misread": len(wrong),
                                    "qr_only_ms": round(qr_only_s * 1e3, 3),
                                    "ratio_to_qr_only": round(ours_again_s / qr_only_s, 3)},
        valid=not wrong and (small or len(frames) >= FRAMES * 0.95),
        why=f"{len(wrong)} frames misread" if wrong else "",
    )


def read_default(jpeg: bytes) -> list[zxingcpp.Barcode]:
    """Read as the comparison does."""
    return list(zxingcpp.read_barcodes(simplejpeg.decode_jpeg(jpeg, "GRAY")[:, :, 0]))
