"""Listening sockets, opened before a server loads what it serves."""

import os
import socket
from errno import EADDRINUSE


def open_socket(host: str, port: int) -> socket.socket:
    """Open a listening socket.

    Raises:
        ValueError: the port is in use or out of range, or the host is not one of this machine's.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if os.name == "posix":  # on Windows it would let two programs share the port
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except OSError as err:
        listening.close()
        reason = "is in use by another program" if err.errno == EADDRINUSE else f"cannot be used: {err.strerror}"
        raise ValueError(f"port {port} of {host} {reason}; choose another one, such as --port {port + 1}") from err
    return listening
