"""Who may log in at a private Sendmail: its lines of sendmail.mc, and a stand-in for saslauthd, which is asked."""

from __future__ import annotations

import socketserver
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from mta.postfix_services import PASSWORD, USER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Sendmail empties its environment, and then has in it what its configuration says: Cyrus SASL looks there for its own.
_MC: Final = """\
define(`confAUTH_MECHANISMS', `PLAIN')dnl
define(`confAUTH_OPTIONS', `A')dnl
TRUST_AUTH_MECH(`PLAIN')dnl
LOCAL_CONFIG
ESASL_CONF_PATH={folder}
divert(0)dnl
"""
_SASL: Final = "pwcheck_method: saslauthd\nsaslauthd_path: {folder}/saslauthd\nmech_list: PLAIN\n"
_LENGTH: Final = struct.Struct(">H")


class _Login(socketserver.StreamRequestHandler):
    """One question of saslauthd(8): user, password, service and realm, each with its length before it."""

    def handle(self) -> None:
        """Answer it."""
        user, password, *_ = [self._word() for _ in range(4)]
        answer = b"OK" if (user, password) == (USER, PASSWORD) else b"NO"
        self.wfile.write(_LENGTH.pack(len(answer)) + answer)

    def _word(self) -> str:
        return self.rfile.read(*_LENGTH.unpack(self.rfile.read(_LENGTH.size))).decode()


@contextmanager
def sendmail_logins(folder: Path) -> Iterator[str]:
    """Answer for saslauthd until the end of the block, in this folder; yields lines of sendmail.mc."""
    (folder / "Sendmail.conf").write_text(_SASL.format(folder=folder))
    with socketserver.ThreadingUnixStreamServer(str(folder / "saslauthd"), _Login) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield _MC.format(folder=folder)
        finally:
            server.shutdown()
            thread.join()
