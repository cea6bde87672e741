"""What the deeper Postfix tests add to a private Postfix: services of master.cf, local submission, who may log in."""

from __future__ import annotations

import base64
import os
import socket
import socketserver
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from forebay.errors import UnavailableError
from forebay.quickstart.debs import unpack
from forebay.quickstart.private_postfix import PrivatePostfix
from forebay.testing.service import FOREBAY
from mta.private_site import CACHE, DEADLINE, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

USER: Final = "jane"
PASSWORD: Final = "sesame"


class ServicePostfix(PrivatePostfix):
    """A private Postfix with more lines in its master.cf; `chroot` runs its smtpd as Debian does."""

    def __init__(self, folder: Path, settings: Mapping[str, str], services: str, *, chroot: bool, tree: Path) -> None:
        # sendmail(1) runs another program of Postfix, which needs to find its libraries.
        super().__init__(tree, folder, {"export_environment": "TZ MAIL_CONFIG LANG LD_LIBRARY_PATH", **settings})
        self._services, self._chroot = services, chroot

    def submit(self, message: bytes, *arguments: str) -> None:
        """Hand a message to sendmail(1), as a program of this host does."""
        command = (str(self.tree / "usr/sbin/sendmail"), "-C", str(self.folder / "etc"), *arguments)
        subprocess.run(command, env=self.environment, cwd=self.folder, input=message, check=True, timeout=DEADLINE)

    def files(self) -> list[bytes]:
        """What was delivered so far, the oldest first."""
        files = [each for each in (self.folder / "delivered").iterdir() if not each.name.startswith(".")]
        return [each.read_bytes() for each in sorted(files, key=lambda each: each.stat().st_mtime_ns)]

    def _write(self) -> None:
        super()._write()
        file = self.folder / "etc/master.cf"
        lines = file.read_text()
        if self._chroot:
            lines = lines.replace("inet n - n - - smtpd", "inet n - y - - smtpd")
        file.write_text(lines + self._services)
        os.utime(file, (time.time() - 60,) * 2)


def smtpd(port: int, **settings: str) -> str:
    """A line of master.cf: one more smtpd on this port, with these settings of its own."""
    own = "".join(f" -o {{ {name} = {value} }}" for name, value in settings.items())
    return f"127.0.0.1:{port} inet n - n - - smtpd{own}\n"


@contextmanager
def postfix_with(
    folder: Path, settings: Mapping[str, str], services: str = "", *, chroot: bool = False, tree: Path | None = None
) -> Iterator[ServicePostfix]:
    """Run a Postfix with these services and settings until the end of the block."""
    postfix = ServicePostfix(folder, settings, services, chroot=chroot, tree=tree or unpack("postfix", CACHE))
    try:
        postfix.start()
        yield postfix
    finally:
        postfix.stop()


@contextmanager
def milter_at(path: Path, folder: Path, config: str = "") -> Iterator[None]:
    """Run a milter that listens on this path until the end of the block; `folder` is its own."""
    for name in ("state", "run"):
        (folder / name).mkdir()
    file = folder / "forebay.toml"
    file.write_text(
        f'{config}\n[milter]\nlisten = "unix:{path}"\nmetrics = ""\nstate = "{folder}/state"\n'
        f'runtime = "{folder}/run"\nsocket_group = ""\nsocket_mode = "0666"\nuser = ""\nworkers = 1\n'
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            (*FOREBAY, "milter", "--config", str(file)), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        eventually(lambda: _answers(path) or process.poll() is not None, (folder / "log").read_text)
        if process.poll() is not None:
            raise UnavailableError((folder / "log").read_text())
        yield
    finally:
        process.terminate()
        process.wait(DEADLINE)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.connect(str(path))
        return True
    return False


class _Login(socketserver.StreamRequestHandler):
    """One connection of smtpd: Dovecot's authentication protocol, version 1.2, mechanism PLAIN."""

    def handle(self) -> None:
        """Greet, then answer each request."""
        hello = ("VERSION\t1\t2", "MECH\tPLAIN\tplaintext", "SPID\t1", "CUID\t1", f"COOKIE\t{'0' * 32}", "DONE")
        self.wfile.write("".join(f"{line}\n" for line in hello).encode())
        right = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
        for line in self.rfile:
            kind, *words = line.decode().rstrip("\n").split("\t")
            if kind == "AUTH":
                answer = f"OK\t{words[0]}\tuser={USER}" if f"resp={right}" in words else f"FAIL\t{words[0]}"
                self.wfile.write(f"{answer}\n".encode())


@contextmanager
def logins(path: Path) -> Iterator[None]:
    """Stand in for Dovecot, whom Postfix asks whether a password is right, until the end of the block."""
    with socketserver.ThreadingUnixStreamServer(str(path), _Login) as server:
        server.daemon_threads = True
        path.chmod(0o666)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def plain(user: str = USER, password: str = PASSWORD) -> bytes:
    """The command that logs in (RFC 4616)."""
    return b"AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode())
