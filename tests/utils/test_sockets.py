"""A listening socket, and an error that names another port."""

import socket

import pytest

from kickbert.utils.sockets import open_socket


@pytest.mark.system
def test_a_free_port_and_one_in_use():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=f"port {port} of 127.0.0.1 is in use by another program; choose another"):
            open_socket("127.0.0.1", port)
    with open_socket("127.0.0.1", 0) as listening:
        socket.create_connection(listening.getsockname()).close()
