"""Listening sockets for IPv4 and IPv6 addresses and host names."""

from __future__ import annotations

import socket

from timbrel.errors import InputError

_WAITING = 128  # connections that are not taken yet


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that takes connections.

    Parameters
    ----------
    host
        An address of this machine, such as 127.0.0.1 or ::1, or its name.
    port
        0 chooses a free one.

    Raises
    ------
    InputError
        If the port is taken, or the host is not one of this machine's addresses.
    """
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        # A name may stand for both kinds.
        family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            if hasattr(socket, "SO_REUSEPORT"):  # elsewhere it would let two serve one port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_WAITING)
        except OSError:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        remedy = "give another --host or --port"
        raise InputError(f"{where}: cannot be served ({why}); {remedy}") from None
    return listener


def url_of(listener: socket.socket) -> str:
    """Where a browser finds what is served."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
