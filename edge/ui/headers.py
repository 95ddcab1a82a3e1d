"""Response headers of pages.

- Nothing comes from elsewhere, no script is inline, no page is framed.
- The camera is asked for by pages of this origin only; nothing else of the device is.
"""

PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "media-src 'self' blob:; connect-src 'self'; manifest-src 'self'; worker-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Permissions-Policy": (
        "camera=(self), display-capture=(self), microphone=(), geolocation=(), usb=(), "
        "payment=(), screen-wake-lock=(self)"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
