"""A Postfix that the sidecar guards, as two units would be: the launcher puts master into its group, the sidecar runs beside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from forebay import config as configuration
from forebay.api.router import Site as AdapterSite
from forebay.quickstart.debs import unpack
from forebay.quickstart.private_postfix import private_folder
from forebay.quickstart.raw_smtp import RawClient
from forebay.sidecar.journal import Entry, Journal
from forebay.sidecar.limits import cgroup
from forebay.sidecar.routers.postfix import Postfix
from forebay.testing.service import FOREBAY
from mta.postfix_services import ServicePostfix
from mta.private_site import CACHE, DEADLINE, RECIPIENT, SENDER, eventually, message
from sidecar.sidecar_kit import groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SHIM: Final = Path(__file__).with_name("dying_daemon.c")

SERVICE: Final = "evil unix - n n - 5 pipe flags= user=games argv={folder}/filter ${{queue_id}}\n"

FILTER: Final = """\
#!/usr/bin/perl
# Delivers what it reads; dies of a message with the field X-Die, in the way that its value says.
local $/;
$SIG{{__DIE__}} = sub {{ exit 75 }};
my $text = <STDIN>;
my $how = $text =~ /^X-Die: (\\w+)/m && !-e "{folder}/repaired" ? $1 : "";
select undef, undef, undef, 0.2 if $how;
kill "SEGV", $$ if $how eq "segv";
exit 75 if $how eq "later";
if ($how eq "memory") {{ my @taken; push @taken, "x" x (1 << 20) while 1 }}
1 while $how eq "cpu";
system $^X, "-e", "1 while 1" if $how eq "helper";
sleep 600 if $how eq "sleep";
open my $file, ">", "{folder}/delivered/.$ARGV[0]" or exit 75;
print $file $text;
close $file or exit 75;
rename "{folder}/delivered/.$ARGV[0]", "{folder}/delivered/$ARGV[0]" or exit 75;
"""

CLEANUP_OF_PICKUP: Final = "cleanup-local unix n - n - 0 cleanup\n"
"""One more line of master.cf, and pickup hands its messages to that service only."""

RETRIES: Final = {
    "minimal_backoff_time": "3s", "maximal_backoff_time": "3s", "queue_run_delay": "1s", "transport_retry_time": "1s",
    "service_throttle_time": "1s", "default_transport": "evil", "smtpd_milters": "", "bounce_queue_lifetime": "1d",
}  # fmt: skip
"""What is tried again after minutes is tried again after seconds: not at once, while its pipe has it locked still."""

LIMITS: Final = """\
[router.services.evil]
memory = "64M"
message_cpu = 1.0
[router.services.cleanup]
memory = "64M"
message_cpu = 1.0
"""


def evil(how: str, name: str) -> bytes:
    """A message that is died of; its Message-ID and subject are its own, so that it is nobody's copy."""
    return message({b"Message-ID": b" <%b@example.org>" % name.encode(), b"Subject": b" " + name.encode()},
                   b"X-Die: %b......\r\n" % how.encode() if how else b"")  # fmt: skip


class Guarded(ServicePostfix):
    """A Postfix in the group of a sidecar, with the service `evil`, whose filter dies of some messages."""

    def __init__(self, folder: Path, tree: Path, settings: Mapping[str, str], services: str, config: str) -> None:
        super().__init__(
            folder, {**RETRIES, **settings}, SERVICE.format(folder=folder) + services, chroot=False, tree=tree
        )
        self.config_file = folder / "forebay.toml"
        self.sidecar_log = folder / "sidecar.log"
        self.sidecar: subprocess.Popen[bytes] | None = None
        for name in ("state", "run"):
            (folder / name).mkdir()
        (folder / "filter").write_text(FILTER.format(folder=folder))
        (folder / "filter").chmod(0o755)
        self.config_file.write_text(
            f'[milter]\nstate = "{folder}/state"\nruntime = "{folder}/run"\nmetrics = ""\n'
            f'[router]\nadapter = "postfix"\nspool = ["{folder}/queue"]\nconfig = "{folder}/etc"\n'
            f'[quarantine]\npostfix = "{folder}/etc"\n[sidecar]\nmetrics = ""\n{config}'
        )

    @property
    def tools(self) -> dict[str, str]:
        """The environment in which Postfix's commands are found."""
        return {**os.environ, **self.environment, "PATH": f"{self.tree}/usr/sbin:{os.environ.get('PATH', '')}"}

    def _write(self) -> None:
        super()._write()
        file = self.folder / "etc/master.cf"
        own = " -o cleanup_service_name=cleanup-local" if "cleanup-local " in file.read_text() else ""
        file.write_text(file.read_text().replace("60 1 pickup", f"2 1 pickup{own}"))  # every two seconds, not minutes
        os.utime(file, (time.time() - 60,) * 2)

    def start(self) -> None:
        """Start master through the launcher, then the sidecar."""
        self._write()
        with (self.folder / "master.err").open("wb") as err:
            self._master = subprocess.Popen(
                (*FOREBAY, "sidecar", "--config", str(self.config_file), "--launch", "--",
                 str(self.tree / "usr/lib/postfix/sbin/master"), "-s", "-c", str(self.folder / "etc")),
                env=self.tools, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=err, stderr=err,
            )  # fmt: skip
        self._wait_until_it_answers(self._master)
        self.start_sidecar()

    def start_sidecar(self) -> None:
        """Start the sidecar, and wait until it guards."""
        with self.sidecar_log.open("ab") as log:
            self.sidecar = subprocess.Popen(
                (*FOREBAY, "sidecar", "--config", str(self.config_file)), env=self.tools, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip
        eventually(
            lambda: self.status().get("pid") == self._alive() and self.status()["state"] == "guarding", self.told
        )

    def stop_sidecar(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the sidecar; Postfix goes on."""
        process, self.sidecar = self.sidecar, None
        if process:
            process.send_signal(number)
            process.wait(DEADLINE)

    def stop(self) -> None:
        """End both, and remove the groups."""
        self.stop_sidecar()
        super().stop()
        for base in groups(self.folder):
            for group in [*base.glob("*/"), base]:
                for _ in range(100):
                    for pid in cgroup.pids(group):
                        with suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                    if cgroup.remove(group):
                        break
                    time.sleep(0.02)

    def _alive(self) -> int:
        assert self.sidecar
        assert self.sidecar.poll() is None, self.told()
        return self.sidecar.pid

    def status(self) -> dict[str, Any]:
        """What the sidecar says of itself."""
        with suppress(OSError, ValueError):
            return dict(json.loads((self.folder / "run/sidecar.json").read_bytes()))
        return {}

    def told(self) -> str:
        """Both logs."""
        log = self.sidecar_log.read_text("utf-8", "replace") if self.sidecar_log.exists() else ""
        return f"{self.log()[-6000:]}\n{log[-6000:]}"

    def send(self, data: bytes, recipient: bytes = RECIPIENT) -> str:
        """Send a message by SMTP; its queue id."""
        with RawClient(self.port, DEADLINE) as client:
            return client.send(SENDER, (recipient,), data).last.queue_id

    def entries(self, *states: str) -> list[Entry]:
        """The sidecar's entries."""
        journal = Journal(configuration.load(str(self.config_file)).private_state)
        found = journal.entries(*states)
        journal.close()
        return found

    def strikes(self) -> dict[str, int]:
        """How many strikes each message has, by its queue id."""
        journal = Journal(configuration.load(str(self.config_file)).private_state)
        rows = journal._read("SELECT identity, count(*) FROM strike GROUP BY identity")
        journal.close()
        return {identity[24:].decode(): number for identity, number in rows}

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of forebay: its first two words, the configuration, then the rest."""
        command = [*FOREBAY, *words[:2], "--config", str(self.config_file), *words[2:]]
        return subprocess.run(command, env=self.tools, capture_output=True, text=True, check=False)

    def release(self, entry: str) -> None:
        """As a person does it."""
        done = self.cli("quarantine", "release", entry)
        assert done.returncode == 0, (done.stdout, done.stderr, self.told())

    def names(self) -> list[str]:
        """The subjects of what was delivered, as often as it was."""
        files = [each for each in (self.folder / "delivered").iterdir() if not each.name.startswith(".")]
        return sorted(each.read_text("latin-1").partition("Subject: ")[2].partition("\n")[0] for each in files)

    def waiting(self, queue: str) -> set[str]:
        """The names of the files in a queue."""
        return {path.name for path in (self.folder / "queue" / queue).rglob("*") if path.is_file()}

    def wait(self, condition: Callable[[], object]) -> None:
        """Wait until something holds; a failure shows the logs."""
        eventually(lambda: bool(condition()), self.told)

    def repair(self) -> None:
        """Nothing dies any more."""
        (self.folder / "repaired").touch()

    @property
    def adapter(self) -> Postfix:
        """An adapter for this queue."""
        queue = str(self.folder / "queue")
        return Postfix(AdapterSite(spool=(queue,), config=str(self.folder / "etc"), aside=f"{queue}/forebay-aside"))


def with_dying(program: str, folder: Path, tree: Path) -> dict[str, str]:
    """A folder of daemons of which one dies of some messages; the settings that make Postfix use it."""
    daemons, real = folder / "daemons", tree / "usr/lib/postfix/sbin"
    daemons.mkdir()
    for each in real.iterdir():
        (daemons / each.name).symlink_to(each)
    shim = daemons / "shim.so"
    flags = ("-shared", "-fPIC", "-Wall", f'-DREPAIRED="{folder}/repaired"', "-o", str(shim))
    subprocess.run(("cc", *flags, str(SHIM), "-ldl"), check=True)
    (daemons / program).unlink()
    (daemons / program).write_text(f'#!/bin/sh\nLD_PRELOAD={shim} exec {real}/{program} "$@"\n')
    (daemons / program).chmod(0o755)
    return {"daemon_directory": str(daemons)}


@contextmanager
def guarded(
    settings: Mapping[str, str] | None = None, services: str = "", config: str = LIMITS, *, tree: Path | None = None,
    dying: str = "",
) -> Iterator[Guarded]:  # fmt: skip
    """Run both until the end of the block; `dying` is a daemon of Postfix that dies of what such messages have in them."""
    tree = tree or unpack("postfix", CACHE)
    with private_folder() as folder:
        more = with_dying(dying, folder, tree) if dying else {}
        postfix = Guarded(folder, tree, {**more, **(settings or {})}, services, config)
        try:
            postfix.start()
            yield postfix
        finally:
            postfix.stop()
