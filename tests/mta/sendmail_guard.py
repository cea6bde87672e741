"""A Sendmail that a real sidecar guards: started by the launcher in a group of its own, with a mailer that can die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from forebay.quickstart.private_postfix import private_folder
from forebay.quickstart.raw_smtp import RawClient
from forebay.sidecar.claimpage import ClaimPage
from mta.private_sendmail import PrivateSendmail, queue_id
from mta.private_site import DEADLINE, RECIPIENT, SENDER, eventually, message
from mta.quarantine_kit import FOREBAY, Desk
from mta.sendmail_desk import desk_of
from sidecar.conftest import clean_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAILER: Final = """\
cat >"{folder}/delivered/.$1"
do=$(sed -n 's/^X-Do: //p' "{folder}/delivered/.$1")
[ -e "{folder}/repaired" ] && do=
case $do in
crash) sleep 0.3; kill -SEGV $$ ;;
memory) sleep 0.1; a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done ;;
cpu) while :; do :; done ;;
slow) sleep 3 ;;
long) sleep 60 ;;
esac
mv "{folder}/delivered/.$1" "{folder}/delivered/$1"
"""
"""Delivers into a file, or dies as the message says, as long as it is not repaired."""

MEMORY: Final = 64 << 20
EVERY: Final = "-q2s"
"""How often Sendmail looks through its queue."""


class GuardedSendmail:
    """It, its sidecar, and the operator's desk. `folder` is where all of it lies."""

    def __init__(self, folder: Path, filters: str = "", more: str = "", state: Path | None = None) -> None:
        self.folder = folder
        self.sendmail = PrivateSendmail(folder / "mta", filters)
        self.sendmail.deliver = MAILER
        self.config = folder / "guard.toml"
        self._state = state or folder / "state"
        self._more = more
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "mta").mkdir()
        self.desk: Desk

    def start(self) -> None:
        """Start Sendmail in its group, and the sidecar beside it."""
        self._state.mkdir(mode=0o700, exist_ok=True)
        self.config.write_text(
            f"""
{self._more}
[milter]
state = "{self._state}"
runtime = "{self.folder}/run"
hostname = "mx.example.org"
[router]
adapter = "sendmail"
spool = ["{self.sendmail.queue}"]
aside = "{self.folder}/mta/aside"
[router.limits]
memory = {MEMORY}
message_cpu = 1.0
message_time = 30.0
[quarantine]
sendmail = "{self.sendmail.folder}/etc/sendmail.cf"
[sidecar]
metrics = ""
"""
        )
        self.sendmail.start((*FOREBAY, "sidecar", "--config", str(self.config), "--launch", "--"), EVERY)
        self.desk = desk_of(self.config, self.sendmail)
        self.start_sidecar()

    def start_sidecar(self) -> None:
        """Start the sidecar, and wait until it guards."""
        with (self.folder / "guard.log").open("ab") as log:
            self.process = subprocess.Popen(
                (*FOREBAY, "sidecar", "--config", str(self.config)), env=self.desk.environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        eventually(lambda: self.status().get("pid") == self.pid and self.status()["state"] == "guarding", self.log)

    @property
    def pid(self) -> int:
        """The sidecar's."""
        assert self.process
        assert self.process.poll() is None, self.log()
        return self.process.pid

    def status(self) -> dict[str, Any]:
        """What the sidecar says of itself."""
        with suppress(OSError, ValueError):
            return dict(json.loads((self.folder / "run" / "sidecar.json").read_bytes()))
        return {}

    def end_sidecar(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the sidecar."""
        process, self.process = self.process, None
        if process:
            process.send_signal(number)
            process.wait(DEADLINE)

    def log(self) -> str:
        """What the sidecar has logged, and Sendmail."""
        return (self.folder / "guard.log").read_text("utf-8", "replace") + self.sendmail.log()[-4000:]

    def send(self, do: str = "", name: str = "1", recipients: Sequence[bytes] = (RECIPIENT,)) -> str:
        """Send a message that lets its mailer do this; its queue id."""
        more = f"X-Do: {do}\r\n".encode() if do else b""
        with RawClient(self.sendmail.port, DEADLINE) as client:
            fields = {b"Message-ID": f" <{name}@example.org>".encode()}
            found = queue_id(client.send(SENDER, recipients, message(fields, more)).last)
        assert found
        return found

    def is_claimed(self, name: str) -> bool:
        """Whether the sidecar knows who has the message of this id in its hands."""
        (page,) = self.folder.glob("state*/claims")
        return any(each.path.endswith(f"/qf{name}") for each in ClaimPage(page).left())

    def strikes(self, name: str) -> int:
        """How often a worker's end was laid to the message of this id."""
        lines = (self.folder / "guard.log").read_text("utf-8", "replace").splitlines()
        return sum(
            "ended:" in line and f"/qf{name}" in line and any(f"ended: {each}," in line for each in STRIKING)
            for line in lines
        )

    def mailers(self) -> list[int]:
        """The pids of mailers that run."""
        script = os.fsencode(self.sendmail.folder / "deliver")
        found = []
        for each in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if script in each.read_bytes().split(b"\0"):
                    found.append(int(each.parent.name))
        return found


STRIKING: Final = ("memory", "stuck", "cpu", "crash", "disk", "error")


@contextmanager
def guarded_sendmail(filters: str = "", more: str = "", state: Path | None = None) -> Iterator[GuardedSendmail]:
    """Run one until the end of the block."""
    with private_folder() as folder:
        site = GuardedSendmail(folder, filters, more, state)
        try:
            site.start()
            yield site
        finally:
            site.end_sidecar()
            site.sendmail.stop()
            clean_up_group(site)


def clean_up_group(site: GuardedSendmail) -> None:
    """End what is left of it, and remove its groups."""
    root = site._state.parent
    assert site._state == root / "state"
    clean_up(root)
