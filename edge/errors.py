"""Operating errors: what a disk, a network or a file can do to us.

- Raised only by adapters, which translate the foreign error in one place and
  keep it as the cause.
- The message says what happened to which thing and what to do; it never holds
  keys, codes, names or images.
- A verdict is never an exception, and no exception becomes a verdict.
"""


class OperatingError(Exception):
    """Base of everything an adapter may raise."""


class ConfigError(OperatingError):
    """The configuration is wrong; the message names the key and the mend."""


class StoreError(OperatingError):
    """The embedded store can't be read or written."""


class JournalError(OperatingError):
    """The journal can't promise a record."""


class JournalFull(JournalError):
    """There is no room for a record; its words may be said outside."""


class KeyFileError(OperatingError):
    """A key file is missing, damaged or readable by others."""


class PackError(OperatingError):
    """A model pack is missing, damaged or of the wrong form."""


class ImageError(OperatingError):
    """Bytes that aren't an image we read, or are beyond its bounds.

    Attributes:
        kind: `unsupported`, `damaged` or `too_large`.
    """

    def __init__(self, kind: str, message: str) -> None:
        """Keep the kind beside the message."""
        super().__init__(message)
        self.kind = kind


class CapacityError(OperatingError):
    """No room for this work now; try again after `retry_after_s`."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        """Keep the advice beside the message."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class CentralError(OperatingError):
    """The central platform can't be reached or refused us."""


class FeedRefused(OperatingError):
    """The feed broke one of the trust rules and was not believed."""
