"""The port of a service: taken by one service only, also when two start at the same moment."""

import contextlib
import socket

import pytest

from edge.access.listening import bind
from edge.errors import ConfigError
from tests.fakes.loopback import free_port

HOST = "127.0.0.1"


def bind_beside_unheard(starting: socket.socket, port: int, shared: bool) -> socket.socket:
    starting.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    starting.bind((HOST, port))
    return bind(HOST, port, 1, shared=shared)


@pytest.mark.parametrize("first", [False, True], ids=["one process", "several"])
@pytest.mark.parametrize("second", [False, True], ids=["one process", "several"])
def test_a_service_that_starts_at_the_same_moment_takes_the_next_port(first, second):
    port = free_port()
    with bind(HOST, port, 1, shared=first), bind(HOST, port, 2, shared=second) as other:
        assert other.getsockname()[1] == port + 1


@pytest.mark.parametrize("shared", [False, True], ids=["one process", "several"])
def test_a_port_that_is_bound_and_not_yet_listened_at_is_the_first_listeners(shared):
    port = free_port()
    with socket.socket() as starting, bind_beside_unheard(starting, port, shared) as other:
        assert other.getsockname()[1] == port
        with pytest.raises(OSError, match="in use"):
            starting.listen()


def test_processes_of_one_service_share_its_port_and_each_is_reached():
    with contextlib.ExitStack() as held:
        keeper = held.enter_context(bind(HOST, free_port(), 1, shared=True))
        port = keeper.getsockname()[1]
        sockets = [keeper, *(held.enter_context(bind(HOST, port, 1, beside=True))
                             for _ in range(2))]
        with pytest.raises(ConfigError, match=f"{port}"):
            bind(HOST, port, 1, shared=True)
        for listening in sockets:
            listening.setblocking(False)
        reached = set()
        for _ in range(200):
            with socket.create_connection((HOST, port)):
                for listening in sockets:
                    with contextlib.suppress(BlockingIOError):
                        listening.accept()[0].close()
                        reached.add(listening)
        assert len(reached) == 3
