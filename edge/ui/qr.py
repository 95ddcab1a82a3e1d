"""QR codes on pages."""

from io import BytesIO

import segno


def draw_qr(text: str) -> str:
    """Draw a text as an SVG QR code, level M, with its quiet zone."""
    out = BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=False, border=4, omitsize=True)
    return out.getvalue().decode()
