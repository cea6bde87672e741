"""A Postfix of our own: unpacked, with its own configuration and queue, on a free loopback port.

Nothing of a Postfix that the machine may have is touched or used. All that this one makes lies in one folder below
/tmp: short, because the path of a unix socket has room for 107 bytes, and open to other users, because Postfix gives
its root rights away before it connects to a milter. Mail is delivered into files in that folder.
"""

# ruff: noqa: S603 - runs the programs of the Postfix that it unpacked, with arguments of its own

from __future__ import annotations

import grp
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forebay.errors import RightsError, UnavailableError
from forebay.quickstart.debs import library_path, missing_libraries
from forebay.quickstart.ports import free_port
from forebay.quickstart.signals import deaf_to_nothing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OWNER, GROUP, DELIVERER = "nobody", "users", "games"
"""Accounts that every Debian has. Postfix insists on a user, a group and another user that share no number."""

START_TIME = 20.0
"""Seconds until a Postfix that has not answered is given up. It takes a few hundredths."""

QUEUE_OF_OWNER = (
    *("incoming", "active", "deferred", "hold", "corrupt"),
    *("bounce", "defer", "trace", "flush", "saved", "private"),
)

MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
file unix - n n - - pipe flags= user={deliverer} argv=/bin/sh {folder}/deliver ${{queue_id}}
"""

DELIVER = """\
cat >"{folder}/delivered/.$1" && mv "{folder}/delivered/.$1" "{folder}/delivered/$1"
"""


class PrivatePostfix:
    """One running instance. `settings` of main.cf come on top of what keeps it private.

    `folder` holds everything it made; `port` is where it answers, on 127.0.0.1; `socket` is where it expects the
    milter unless `smtpd_milters` says otherwise.
    """

    def __init__(self, tree: Path, folder: Path, settings: Mapping[str, str]) -> None:
        self.tree = tree
        self.folder = folder
        self.port = free_port()
        self.socket = folder / "milter.sock"
        self.log_file = folder / "log"
        self._settings = dict(settings)
        self._master: subprocess.Popen[bytes] | None = None

    @property
    def version(self) -> str:
        return self.tool("postconf", "-h", "mail_version").decode().strip()

    @property
    def is_alive(self) -> bool:
        """Whether its first process runs."""
        return self._master is not None and self._master.poll() is None

    @property
    def environment(self) -> dict[str, str]:
        """What a program of this Postfix needs in its environment."""
        path = os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        return {"PATH": path, "LANG": "C", "LD_LIBRARY_PATH": library_path(self.tree)}

    def start(self) -> None:
        """Write configuration and queue, start `master`, and wait until it answers.

        Raises RightsError where we are not root, UnavailableError with what Postfix said where it does not start.
        """
        if os.geteuid() != 0:
            raise RightsError("Postfix starts as root only: run this as root, or with sudo")
        master = self.tree / "usr/lib/postfix/sbin/master"
        missing = missing_libraries(master, self.tree)
        if missing:
            raise UnavailableError(
                f"Postfix in {self.tree} lacks {', '.join(missing)}: remove that folder and try again"
            )
        self._write()
        with deaf_to_nothing(), (self.folder / "master.err").open("wb") as err:
            self._master = subprocess.Popen(
                # -s: do not detach, so that it is our child. In a session of its own, Ctrl-C is ours to pass on.
                (str(master), "-s", "-c", str(self.folder / "etc")),
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=err,
                start_new_session=True,
            )
        self._wait_until_it_answers(self._master)

    def stop(self) -> None:
        """End `master` and its children, and wait for it."""
        master, self._master = self._master, None
        if master is None:
            return
        master.terminate()
        try:
            master.wait(10)
        except subprocess.TimeoutExpired:
            master.kill()
            master.wait()
        with suppress(ProcessLookupError):  # the children share its process group, and nobody else does
            os.killpg(master.pid, signal.SIGKILL)

    def log(self) -> str:
        """Return what this Postfix has logged so far."""
        with suppress(FileNotFoundError):
            return self.log_file.read_text("utf-8", "backslashreplace")
        return ""

    def queue(self) -> list[dict[str, Any]]:
        """Return the queue as `postqueue -j` tells it: `queue_name`, `queue_id`, `sender`, `message_size`, ..."""
        return [json.loads(line) for line in self.tool("postqueue", "-j").splitlines()]

    def held(self) -> dict[str, dict[str, Any]]:
        """Return what lies in the hold queue, by queue id."""
        return {entry["queue_id"]: entry for entry in self.queue() if entry["queue_name"] == "hold"}

    def held_message(self, queue_id: str) -> bytes:
        """Return header and body of a message in the queue."""
        return self.tool("postcat", "-hb", "-q", queue_id)

    def delivered(self, queue_id: str, timeout: float = 20.0) -> bytes:
        """Return a message as it was delivered, once it is. Raises TimeoutError when that takes too long."""
        path = self.folder / "delivered" / queue_id
        end = time.monotonic() + timeout
        while not path.exists():
            if time.monotonic() > end:
                raise TimeoutError(f"{queue_id} was not delivered within {timeout:.0f} s")
            time.sleep(0.02)
        return path.read_bytes()

    def tool(self, name: str, *arguments: str) -> bytes:
        """Run one of Postfix's commands on this instance and return what it printed."""
        command = (str(self.tree / "usr/sbin" / name), "-c", str(self.folder / "etc"), *arguments)
        done = subprocess.run(command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode:
            raise UnavailableError(f"{name} failed: {done.stderr.decode(errors='backslashreplace').strip()}")
        return done.stdout

    def _write(self) -> None:
        etc, queue, delivered = self.folder / "etc", self.folder / "queue", self.folder / "delivered"
        deliverer = pwd.getpwnam(DELIVERER)
        for folder in (etc, delivered, self.folder / "data"):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
        os.chown(delivered, deliverer.pw_uid, deliverer.pw_gid)
        os.chown(self.folder / "data", pwd.getpwnam(OWNER).pw_uid, -1)
        _make_queue(queue)
        places = {"folder": self.folder, "port": self.port, "deliverer": DELIVERER}
        (self.folder / "deliver").write_text(DELIVER.format(**places))
        (self.folder / "deliver").chmod(0o644)
        (etc / "master.cf").write_text(MASTER_CF.format(**places))
        settings = {**self._private_settings(), **self._settings}
        (etc / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
        # Every program of Postfix waits while main.cf is so new that someone may still be writing it.
        os.utime(etc / "main.cf", (time.time() - 60,) * 2)
        dynamic_maps = self.tree / "usr/share/postfix/dynamicmaps.cf"
        if dynamic_maps.exists():
            shutil.copy(dynamic_maps, etc)

    def _private_settings(self) -> dict[str, str]:
        lib = self.tree / "usr/lib/postfix"
        return {
            "compatibility_level": "3.6",
            # Where everything is, and who runs it.
            "queue_directory": f"{self.folder}/queue",
            "data_directory": f"{self.folder}/data",
            "maillog_file": str(self.log_file),
            "maillog_file_prefixes": str(self.folder),
            "daemon_directory": f"{lib}/sbin",
            "command_directory": f"{self.tree}/usr/sbin",
            "shlib_directory": str(lib),
            "meta_directory": f"{self.folder}/etc",
            "mail_owner": OWNER,
            "setgid_group": GROUP,
            "default_privs": DELIVERER,
            "import_environment": "MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C LD_LIBRARY_PATH",
            # Nothing but the loopback interface: no name is looked up and no host is asked.
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "myhostname": "mx.forebay.test",
            "smtp_dns_support_level": "disabled",
            "smtpd_peername_lookup": "no",
            "mynetworks": "127.0.0.0/8",
            "smtpd_relay_restrictions": "permit_mynetworks, reject",
            "smtpd_recipient_restrictions": "permit_mynetworks, reject",
            # Mail goes into files here, whoever it is for.
            "mydestination": "",
            "alias_maps": "",
            "alias_database": "",
            "local_recipient_maps": "",
            "default_transport": "file",
            # A client on this machine is to be treated as one from outside: otherwise Postfix repairs the message
            # before the milter sees it.
            "local_header_rewrite_clients": "",
            "smtpd_milters": f"unix:{self.socket}",
            "milter_default_action": "tempfail",
        }

    def _wait_until_it_answers(self, master: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + START_TIME
        while time.monotonic() < end and master.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as client:
                if client.recv(4) == b"220 ":
                    client.sendall(b"QUIT\r\n")
                    return
            time.sleep(0.02)
        self.stop()
        said = (self.folder / "master.err").read_text(errors="backslashreplace") + self.log()
        raise UnavailableError("the private Postfix did not start:\n" + "\n".join(said.strip().splitlines()[-12:]))


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a folder that Postfix and a milter can live in; at the end it is gone."""
    folder = Path(tempfile.mkdtemp(prefix="forebay-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def private_postfix(tree: Path, folder: Path, **settings: str) -> Iterator[PrivatePostfix]:
    """Run a Postfix unpacked in `tree`, with these settings of main.cf on top, until the end of the block."""
    postfix = PrivatePostfix(tree, folder, settings)
    try:
        postfix.start()
        yield postfix
    finally:
        postfix.stop()


def _make_queue(queue: Path) -> None:
    """Make the queue as `postfix start` would: each folder belongs to the user who works in it."""
    owner, group = pwd.getpwnam(OWNER).pw_uid, grp.getgrnam(GROUP).gr_gid
    (queue / "pid").mkdir(parents=True, exist_ok=True)
    queue.chmod(0o755)  # whatever the umask: it is not only root who works here
    for name in QUEUE_OF_OWNER:
        (queue / name).mkdir(mode=0o700, exist_ok=True)
        os.chown(queue / name, owner, -1)
    for name, mode in (("maildrop", 0o730), ("public", 0o710)):
        (queue / name).mkdir(exist_ok=True)
        os.chown(queue / name, owner, group)
        (queue / name).chmod(mode)
