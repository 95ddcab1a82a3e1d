"""Structured logs: one JSON object a line on standard error, no holder data.

- Callers log an event name and ids; names, numbers, codes and keys are never passed.
"""

import logging
import sys

import orjson

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Formats a record with its extras."""

    def format(self, record: logging.LogRecord) -> str:
        """Give one line."""
        line = {
            "at": round(record.created, 3), "level": record.levelname.lower(),
            "event": record.getMessage(), "logger": record.name,
        }
        line |= {key: value for key, value in vars(record).items() if key not in _PLAIN}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def set_up_logs(level: str) -> None:
    """Send all logs to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
