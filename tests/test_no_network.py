"""What tests may connect to: other processes of this machine, no other machine."""

from __future__ import annotations

import socket

import pytest


@pytest.mark.parametrize("address", [("192.0.2.1", 9), ("example.invalid", 9)])
@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_other_machines_cannot_be_reached(address, method):
    with socket.socket() as own, pytest.raises(PermissionError, match="no network"):
        getattr(own, method)(address)
    if method == "connect":
        with pytest.raises(PermissionError, match="no network"):
            socket.create_connection(("192.0.2.1", 9), timeout=1)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_can_be_reached(host):
    server = socket.create_server(("127.0.0.1", 0))
    with server, socket.create_connection((host, server.getsockname()[1]), timeout=10) as own:
        other, _ = server.accept()
        own.sendall(b"here")
        assert other.recv(4) == b"here"
        other.close()
