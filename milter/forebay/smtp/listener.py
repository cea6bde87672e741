"""The socket that MTAs connect to. It is ours, not libmilter's: the supervisor binds it and every worker shares it."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from forebay.errors import FileError, RightsError, UnavailableError

BACKLOG: Final = 1024
"""Connections that wait in the kernel for a worker (net.core.somaxconn may make it fewer)."""

_FAMILIES: Final = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a path, or a host and a port."""

    kind: str
    path: str = ""
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Address:
        """From `unix:PATH`, `inet:PORT@HOST` or `inet6:PORT@HOST`, already checked."""
        kind, _, rest = text.partition(":")
        if kind == "unix":
            return cls(kind, path=rest)
        port, _, host = rest.partition("@")
        return cls(kind, host=host.strip("[]"), port=int(port))

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.kind == "unix" else f"{self.kind}:{self.port}@{self.host}"


def listen(address: Address, mode: int, group: str) -> socket.socket:
    """Bind and listen; non-blocking, so that a worker which loses the race for a connection does not sleep on it.

    Raises UnavailableError where someone else serves the address, RightsError and FileError where it cannot be made.
    """
    if address.kind == "unix":
        return _listen_unix(address.path, mode, group)
    try:
        return bind_inet(_FAMILIES[address.kind], address.host, address.port)
    except OSError as error:
        raise refused(str(address), "milter.listen", error) from None


def bind_inet(family: int, host: str, port: int) -> socket.socket:
    """A listening TCP socket. Raises OSError."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def refused(address: str, setting: str, error: OSError) -> UnavailableError | RightsError:
    """Why an address cannot be had, in the operator's words."""
    if error.errno == errno.EADDRINUSE:
        return UnavailableError(f"{setting}: {address} is in use; end what listens there, or choose another port")
    if error.errno == errno.EACCES:
        return RightsError(f"{setting}: {address} may not be used by this user; choose a port from 1024 up")
    return UnavailableError(f"{setting}: cannot listen on {address}: {error.strerror or error}")


def forget_path(address: Address, inode: int) -> None:
    """Remove the path of a unix socket, if it is still the one with that inode."""
    if address.kind == "unix":
        with contextlib.suppress(OSError):
            if os.lstat(address.path).st_ino == inode:
                Path(address.path).unlink()


def inode_of(address: Address) -> int:
    """The inode of the path of a unix socket; 0 for another kind."""
    return os.lstat(address.path).st_ino if address.kind == "unix" else 0


def _listen_unix(path: str, mode: int, group: str) -> socket.socket:
    _clear_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o777)  # nobody gets in before the group is right
    try:
        sock.bind(path)
        if group:
            os.chown(path, -1, grp.getgrnam(group).gr_gid)
        Path(path).chmod(mode)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except KeyError:
        _abandon(sock, path)
        raise FileError(f"milter.socket_group: there is no group {group!r}") from None
    except PermissionError as error:
        _abandon(sock, path)
        raise RightsError(
            f"milter.listen: {path}: {error.strerror}; this user needs to write to the directory, and to be in the group {group!r}"
        ) from None
    except OSError as error:
        sock.close()
        raise FileError(f"milter.listen: {path}: {error.strerror or error}") from None
    finally:
        os.umask(mask)
    return sock


def _abandon(sock: socket.socket, path: str) -> None:
    bound = bool(sock.getsockname())
    sock.close()
    if bound:
        Path(path).unlink(missing_ok=True)


def _clear_stale(path: str) -> None:
    """Remove a socket that nobody serves any more."""
    try:
        kind = os.lstat(path).st_mode
    except OSError:
        return  # not there; or bind(2) will say what is wrong
    if not stat.S_ISSOCK(kind):
        raise FileError(f"milter.listen: {path} exists and is no socket; remove it, or choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            Path(path).unlink(missing_ok=True)
            return
        except OSError:
            pass  # busy, or not ours to connect to: someone serves it
    raise UnavailableError(
        f"milter.listen: {path} is already served by another process; end that one first, or choose another path"
    )
