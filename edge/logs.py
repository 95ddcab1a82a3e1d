"""Structured logs: one JSON object a line on standard error, no holder data.

- Callers log an event name and ids; names, numbers, codes and keys are never passed.
- What is no plain value (bytes, structs) is shown by its kind only, and text is cut: a slip of a
  caller doesn't put a key or a record into a log.
- `verification_id` in a line is that of the answer, the journal, the exemplar of a metric.
"""

import logging
import sys

import orjson

TEXT_CHARS_MAX = 400
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Formats a record with its extras."""

    def format(self, record: logging.LogRecord) -> str:
        """Give one line."""
        line = {
            "at": round(record.created, 3), "level": record.levelname.lower(),
            "event": record.getMessage(), "logger": record.name,
        }
        line |= {key: _shown(value) for key, value in vars(record).items() if key not in _PLAIN}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=_kind).decode("utf-8", "replace")


def _shown(value: object) -> object:
    return value[:TEXT_CHARS_MAX] if isinstance(value, str) else value


def _kind(value: object) -> str:
    return f"<{type(value).__name__}>"


def set_up_logs(level: str) -> None:
    """Send all logs to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
