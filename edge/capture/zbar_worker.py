"""The child process in which zbar reads: it may abort without hurting the node.

- Frames come on standard input (height, width as two big-endian u32, then grey
  octets); answers go out as a count and length-prefixed contents.
- The one module that imports pyzbar; run as `python -m edge.capture.zbar_worker`.
- Without libzbar it ends at once with `EXIT_NO_ZBAR`.
"""

import struct
import sys
from typing import BinaryIO

EXIT_NO_ZBAR = 3
PIXELS_MAX = 4_000_000
CONTENTS_MAX = 16


def serve(source: BinaryIO, target: BinaryIO) -> None:
    """Answer frames until the input ends."""
    from pyzbar import pyzbar

    target.write(b"zbar")
    target.flush()
    while head := source.read(8):
        height, width = struct.unpack(">II", head)
        if height * width > PIXELS_MAX:
            return
        octets = source.read(height * width)
        codes = pyzbar.decode((octets, width, height), symbols=[pyzbar.ZBarSymbol.QRCODE])
        contents = [code.data for code in codes[:CONTENTS_MAX]]
        parts = [struct.pack(">I", len(contents))]
        for content in contents:
            parts += [struct.pack(">I", len(content)), content]
        target.write(b"".join(parts))
        target.flush()


def main() -> int:
    """Serve standard input and output."""
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except ImportError:
        return EXIT_NO_ZBAR
    except (BrokenPipeError, KeyboardInterrupt):
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
