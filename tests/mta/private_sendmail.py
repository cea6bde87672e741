"""A Sendmail of our own: Debian's, unpacked, with its own configuration and queue, on a free loopback port.

Nothing of the host is used or changed: configuration, queue, aliases, pid file and log lie in one folder. Mail is
delivered into files there, whoever it is for. Sendmail's programs are the real ones, its `sendmail.cf` is made with
m4 from the macros that the package `sendmail-cf` brings.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from forebay.errors import UnavailableError
from forebay.quickstart.debs import library_path, unpack
from forebay.quickstart.ports import free_port
from forebay.quickstart.private_postfix import private_folder
from forebay.quickstart.raw_smtp import RawClient
from forebay.testing import milter_service
from mta.private_site import BUDGETS, CACHE, DEADLINE, GOOD, RECIPIENT, RECORDER, SENDER, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forebay.quickstart.raw_smtp import Answers, Reply
    from forebay.testing import MilterService

SHIM: Final = Path(__file__).with_name("sendmail_shim.c")

TIMES: Final = "C:10s;S:10s;R:10s;E:30s"
"""Sendmail's patience with a milter, as README.md has it: to connect, to send, to read an answer, at the end."""

# OSTYPE is `linux` and not `debian`, which has the host's own paths in it. A mailer without $u would speak SMTP.
MC: Final = """\
divert(0)dnl
include(`{cf}/m4/cf.m4')dnl
OSTYPE(`linux')dnl
define(`MAIL_SETTINGS_DIR', `{folder}/etc/')dnl
define(`QUEUE_DIR', `{folder}/queue')dnl
define(`STATUS_FILE', `{folder}/statistics')dnl
define(`HELP_FILE', `{folder}/etc/helpfile')dnl
define(`ALIAS_FILE', `{folder}/etc/aliases')dnl
define(`confPID_FILE', `{folder}/sendmail.pid')dnl
define(`confCONTROL_SOCKET_NAME', `')dnl
define(`confHOST_STATUS_DIRECTORY', `')dnl
define(`confSERVICE_SWITCH_FILE', `{folder}/etc/service.switch')dnl
define(`confDONT_BLAME_SENDMAIL', `TrustStickyBit')dnl
define(`confDOMAIN_NAME', `mx.forebay.test')dnl
define(`confDEF_USER_ID', `0:0')dnl
define(`confTO_IDENT', `0')dnl
define(`confLOG_LEVEL', `14')dnl
define(`confMILTER_LOG_LEVEL', `14')dnl
define(`confREFUSE_LA', `10000')dnl
define(`confQUEUE_LA', `10000')dnl
define(`confDELAY_LA', `0')dnl
define(`confAUTH_MECHANISMS', `')dnl
define(`confDEF_CHAR_SET', `unknown-8bit')dnl
define(`confBAD_RCPT_THROTTLE', `100')dnl
{settings}
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`accept_unqualified_senders')dnl
FEATURE(`promiscuous_relay')dnl
FEATURE(`no_default_msa')dnl
DAEMON_OPTIONS(`Name=MTA, Family=inet, Addr=127.0.0.1, Port={port}')dnl
{filters}
MAILER(`local')dnl
MAILER_DEFINITIONS
Mfile, P=/bin/sh, F=mnq, S=EnvFromL/HdrFromL, R=EnvToL/HdrToL, T=DNS/RFC822/X-Unix, U=0:0,
	A=sh {folder}/deliver $i $u
LOCAL_RULE_0
R$* < @ $* > $*	$#file $@ $2 $: $1 @ $2
"""

CLIENT: Final = "nobody"
"""Who sendmail(1) becomes; Sendmail insists on somebody who is not root."""

# What sendmail(1) reads: it hands mail on to the daemon by SMTP (FEATURE(`msp'), sendmail's cf/README).
SUBMIT_MC: Final = """\
divert(0)dnl
include(`{cf}/m4/cf.m4')dnl
OSTYPE(`linux')dnl
define(`MSP_QUEUE_DIR', `{folder}/client')dnl
define(`STATUS_FILE', `{folder}/statistics')dnl
define(`confSERVICE_SWITCH_FILE', `{folder}/etc/service.switch')dnl
define(`confDONT_BLAME_SENDMAIL', `TrustStickyBit')dnl
define(`confDOMAIN_NAME', `mx.forebay.test')dnl
define(`confRUN_AS_USER', `{client}')dnl
define(`confTO_IDENT', `0')dnl
define(`RELAY_MAILER_ARGS', `TCP $h {port}')dnl
FEATURE(`msp', `[127.0.0.1]')dnl
"""

DELIVER: Final = """\
cat >"{folder}/delivered/.$1" && mv "{folder}/delivered/.$1" "{folder}/delivered/$1"
"""


class PrivateSendmail:
    """One running daemon. `filters` and `settings` are lines of sendmail.mc; `port` is where it answers."""

    def __init__(self, folder: Path, filters: str, settings: str = "") -> None:
        self.folder = folder
        self.port = free_port()
        self.queue = folder / "queue"
        self.deliver = DELIVER
        """The program that delivers, as a script of the shell."""
        self._filters, self._settings = filters, settings
        self._tree = unpack("sendmail-bin", CACHE)
        self._daemon: subprocess.Popen[bytes] | None = None

    @property
    def version(self) -> str:
        """What it calls itself: `8.17.1.9`."""
        found = re.search(r"^Version (\S+)", self.tool("-d0.1", "-bt", stdin=b"/quit\n"), re.MULTILINE)
        return found[1] if found else ""

    def start(self, launcher: Sequence[str] = (), *options: str) -> None:
        """Write its configuration, start the daemon, and wait until it answers; started by `launcher`, if there is one."""
        if not self.commands.exists():
            self._write()
        own = (*launcher, str(self.commands / "sendmail")) if launcher else self._command
        with (self.folder / "daemon.err").open("wb") as err:
            self._daemon = subprocess.Popen(
                (*own, "-bD", *options),  # in the foreground, so that it is our child
                env=os.environ if launcher else self._environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=err,
                stderr=err, start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until and self._daemon.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), DEADLINE) as client:
                if client.recv(4):  # 220; or 421 or 554, if it refuses all while there is no milter
                    return
            time.sleep(0.02)
        said = (self.folder / "daemon.err").read_text(errors="backslashreplace") + self.log()
        self.stop()
        raise UnavailableError(f"the private Sendmail did not start:\n{said}")

    def stop(self) -> None:
        """End the daemon and its children, and wait for it."""
        daemon, self._daemon = self._daemon, None
        if daemon:
            daemon.terminate()
            daemon.wait(DEADLINE)
            with suppress(ProcessLookupError):  # nobody else is in its process group
                os.killpg(daemon.pid, signal.SIGKILL)

    def tool(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run Sendmail's command on this configuration, and return what it printed. Raises where it fails."""
        done = subprocess.run(
            (*self._command, *arguments), env=self._environment, cwd=self.folder, input=stdin, check=True,
            capture_output=True, timeout=DEADLINE,
        )  # fmt: skip
        return done.stdout.decode("utf-8", "backslashreplace")

    def log(self) -> str:
        """What it has logged so far."""
        with suppress(FileNotFoundError):
            return (self.folder / "log").read_text("utf-8", "backslashreplace")
        return ""

    def submit(self, message: bytes, *arguments: str) -> int:
        """Hand a message to sendmail(1), as a program of this host does; its exit status."""
        command = (self._command[0], f"-C{self.folder}/etc/submit.cf", "-Am", *arguments)
        return subprocess.run(
            command, env=self._environment, cwd=self.folder, input=message, check=False, timeout=DEADLINE
        ).returncode

    def files(self) -> list[bytes]:
        """What was delivered so far."""
        return [each.read_bytes() for each in (self.folder / "delivered").glob("[!.]*")]

    def queued(self, kind: str) -> set[str]:
        """The ids of files in the queue: `qf` waits to be delivered, `hf` is quarantined, `df` is a body."""
        return {each.name.removeprefix(kind) for each in self.queue.glob(f"{kind}*")}

    def control_file(self, queue_id: str) -> str:
        """The file of a quarantined message: its envelope, its header, and the reason in the line that begins with q."""
        return (self.queue / f"hf{queue_id}").read_text("utf-8", "backslashreplace")

    def delivered(self, queue_id: str) -> bytes:
        """A message as it was delivered, once it is."""
        path = self.folder / "delivered" / queue_id
        until = time.monotonic() + DEADLINE
        while not path.exists():
            assert time.monotonic() < until, self.log()
            time.sleep(0.02)
        return path.read_bytes()

    @property
    def _command(self) -> tuple[str, ...]:
        return (str(self.folder / "bin/sendmail"), f"-C{self.folder}/etc/sendmail.cf")

    @property
    def _environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LD_LIBRARY_PATH": library_path(self._tree),
            "LD_PRELOAD": str(self.folder / "bin/shim.so"),
        }

    @property
    def commands(self) -> Path:
        """A directory with a program `sendmail`, for whoever looks for it in PATH and knows nothing of this folder."""
        return self.folder / "commands"

    def _write(self) -> None:
        for name in ("bin", "commands", "etc", "queue", "client", "delivered"):
            (self.folder / name).mkdir()
        words = " ".join([*(f"{name}={value}" for name, value in self._environment.items()), *self._command])
        (self.commands / "sendmail").write_text(f'#!/bin/sh\nexec env {words} "$@"\n')
        (self.commands / "sendmail").chmod(0o755)
        self.queue.chmod(0o700)
        client = pwd.getpwnam(CLIENT)
        os.chown(self.folder / "client", client.pw_uid, client.pw_gid)
        (self.folder / "client").chmod(0o770)
        # A copy without the set-gid bit, for which the loader would ignore where the libraries are.
        shutil.copyfile(self._tree / "usr/libexec/sendmail/sendmail", self.folder / "bin/sendmail")
        (self.folder / "bin/sendmail").chmod(0o755)
        shim = ("-shared", "-fPIC", "-Wall", f'-DLOG="{self.folder}/log"', "-o", str(self.folder / "bin/shim.so"))
        subprocess.run(("cc", *shim, str(SHIM)), check=True)
        (self.folder / "deliver").write_text(self.deliver.replace("{folder}", str(self.folder)))
        etc = self.folder / "etc"
        (etc / "service.switch").write_text("hosts files\naliases files\n")  # nobody is asked for a name
        (etc / "aliases").touch()
        (etc / "local-host-names").touch()
        (etc / "helpfile").touch()
        (etc / "sendmail.cf").write_text(self._made(MC))
        (etc / "submit.cf").write_text(self._made(SUBMIT_MC))
        self.tool("-bi")

    def _made(self, mc: str) -> str:
        """A configuration, as m4 makes it."""
        cf, m4 = unpack("sendmail-cf", CACHE) / "usr/share/sendmail/cf", unpack("m4", CACHE)
        text = mc.format(
            cf=cf, folder=self.folder, port=self.port, filters=self._filters, settings=self._settings, client=CLIENT
        )
        made = subprocess.run(
            (str(m4 / "usr/bin/m4"), f"-D_CF_DIR_={cf}/", "-"), input=text, capture_output=True, text=True, check=True,
            env={**os.environ, "LD_LIBRARY_PATH": library_path(m4)},
        )  # fmt: skip
        return made.stdout


@dataclass(frozen=True, slots=True)
class SendmailSite:
    """A Sendmail, and the milter that it asks."""

    sendmail: PrivateSendmail
    milter: MilterService

    def client(self) -> RawClient:
        """A new SMTP connection."""
        return RawClient(self.sendmail.port, DEADLINE)

    def send(self, data: bytes, sender: bytes = SENDER, recipients: Sequence[bytes] = (RECIPIENT,)) -> Answers:
        """Send one message over a connection of its own."""
        with self.client() as client:
            return client.send(sender, recipients, data)

    def delivered(self, data: bytes = GOOD) -> bytes:
        """Send a message that is to be accepted, and return it as it was delivered."""
        return self.sendmail.delivered(queue_id(self.send(data).last))


def queue_id(reply: Reply) -> str:
    """The id under which Sendmail took a message; empty for any other reply."""
    found = re.fullmatch(r"250 2\.0\.0 (\w+) Message accepted for delivery", reply.text)
    return found[1] if found else ""


@contextmanager
def private_sendmail(folder: Path, filters: str, settings: str = "") -> Iterator[PrivateSendmail]:
    """Run a Sendmail until the end of the block."""
    sendmail = PrivateSendmail(folder, filters, settings)
    try:
        sendmail.start()
        yield sendmail
    finally:
        sendmail.stop()


@contextmanager
def sendmail_site(
    config: str = "", milter: str = "", settings: str = "", folder: Path | None = None
) -> Iterator[SendmailSite]:
    """Run a Sendmail and a milter until the end of the block, hooked up as README.md says; in `folder`, if there is one."""
    with (
        private_folder() if folder is None else nullcontext(folder) as place,
        milter_service(config, milter=f"workers = 2\n{milter}\n") as service,
    ):
        filters = f"INPUT_MAIL_FILTER(`forebay', `S={service.address}, F=T, T={TIMES}')dnl"
        with private_sendmail(place, filters, settings) as sendmail:
            yield SendmailSite(sendmail, service)


class SendmailRecording:
    """A site whose milter accepts everything and writes down what it sees, by a plugin in a folder."""

    def __init__(self, where: SendmailSite, file: Path) -> None:
        self.site = where
        self._file = file

    def of(self, data: bytes, sender: bytes = SENDER, recipients: Sequence[bytes] = (RECIPIENT,)) -> dict[str, Any]:
        """What the milter is told of a message: `fields` and `body` as latin-1, and the envelope; nothing if not asked."""
        self._file.unlink(missing_ok=True)
        self.site.send(data, sender, recipients)
        with suppress(FileNotFoundError):
            seen: dict[str, Any] = json.loads(self._file.read_text())
            return seen
        return {}

    def last(self) -> dict[str, Any]:
        """The same of the message that comes next, or has come, otherwise than by `of`."""
        eventually(lambda: self._file.exists() and self._file.read_text().endswith("}"), self.site.sendmail.log)
        seen: dict[str, Any] = json.loads(self._file.read_text())
        return seen


@contextmanager
def sendmail_recording(settings: str = "") -> Iterator[SendmailRecording]:
    """Run such a site until the end of the block."""
    with private_folder() as folder:
        (folder / "recorder.py").write_text(RECORDER)
        file = folder / "seen.json"
        config = [f'[plugins]\ndirectory = "{folder}"', '[policy]\npreset = "observe"']
        config += [f'[validators.recorder]\ninto = "{file}"']
        config += [f"[validators.{each}]\nenabled = false" for each in BUDGETS]
        with sendmail_site("\n".join(config), settings=settings) as where:
            yield SendmailRecording(where, file)
