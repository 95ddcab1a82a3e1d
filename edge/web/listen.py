"""Where the node listens: the configured port or the next free one."""

import errno
import logging
import socket

from edge.config import Listen
from edge.errors import ConfigError

_LOG = logging.getLogger(__name__)


def bind(listen: Listen) -> socket.socket:
    """Bind the configured port or the next free one.

    Raises:
        ConfigError: None of them can be bound.
    """
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    for port in range(listen.port, listen.port + listen.port_tries):
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((listen.host, port))
        except OSError as error:
            listening.close()
            if error.errno != errno.EADDRINUSE:
                raise ConfigError(f"{listen.host}:{port} can't be used: {error}") from error
            _LOG.warning("port.taken", extra={"port": port})
            continue
        return listening
    raise ConfigError(
        f"ports {listen.port} to {listen.port + listen.port_tries - 1} are all taken: "
        "set listen.port"
    )
