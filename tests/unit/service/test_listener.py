from __future__ import annotations

import socket

import pytest

from embedding_service.errors import ListenError
from embedding_service.listener import listen
from tests.unit.service.service_process import free_port


def test_it_listens_at_once() -> None:
    port = free_port()
    with listen("127.0.0.1", port), socket.create_connection(("127.0.0.1", port), timeout=5):
        pass


def test_a_taken_port_is_refused() -> None:
    port = free_port()
    with (
        listen("127.0.0.1", port),
        pytest.raises(ListenError, match=f"127.0.0.1 port {port}: Address already in use"),
    ):
        listen("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "reason"),
    [("192.0.2.1", "annot assign requested address"), ("no such host", "not known|nodename")],
)
def test_a_host_that_is_not_this_machine_is_refused(host: str, reason: str) -> None:
    with pytest.raises(ListenError, match=reason):
        listen(host, free_port())
