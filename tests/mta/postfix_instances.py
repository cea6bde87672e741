"""Two instances of one Postfix, as postmulti(1) makes and starts them: each with a queue and a milter of its own."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from forebay.quickstart.debs import unpack
from forebay.quickstart.private_postfix import PrivatePostfix
from forebay.quickstart.raw_smtp import RawClient
from mta.installed_postfix import SETTINGS
from mta.private_site import CACHE, DEADLINE, RECIPIENT, SENDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from forebay.quickstart.raw_smtp import Reply
    from mta.installed_postfix import Installed

FIRST: Final = "-"
"""What postmulti calls the default instance, that of /etc/postfix."""
SECOND: Final = "postfix-second"
GROUP: Final = "both"


class Instance(PrivatePostfix):
    """One of them; it is postmulti that starts and stops it."""

    def __init__(self, where: Installed, name: str, folder: Path, settings: Mapping[str, str]) -> None:
        super().__init__(where.tree, folder, {**SETTINGS, "meta_directory": "/etc/postfix", **settings})
        self._where, self._name = where, name
        folder.mkdir()
        self._write()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._where.run("postmulti", "-i", self._name, "-p", "start")
        self._wait_until_it_answers(self._where.keeper)

    def stop(self) -> None:
        """End it."""
        self._where.run("postmulti", "-i", self._name, "-p", "stop")
        super().stop()

    def send(self, data: bytes) -> Reply:
        """The reply to one message."""
        with RawClient(self.port, DEADLINE) as client:
            return client.send(SENDER, (RECIPIENT,), data).last


@contextmanager
def instances(
    where: Installed, folder: Path, first: Mapping[str, str], second: Mapping[str, str]
) -> Iterator[tuple[Instance, Instance]]:
    """Run both until the end of the block, with these settings of main.cf."""
    one, two = Instance(where, FIRST, folder / "first", first), Instance(where, SECOND, folder / "second", second)
    shutil.copytree(unpack("postfix", CACHE) / "etc/postfix", one.folder / "etc", dirs_exist_ok=True)
    where.run("mount", "--bind", str(one.folder / "etc"), "/etc/postfix")
    where.run("postmulti", "-e", "init")
    where.run("postmulti", "-I", SECOND, "-G", GROUP, "-e", "import", f"config_directory={two.folder}/etc")
    where.run("postmulti", "-i", SECOND, "-e", "enable")
    with ExitStack() as running:
        for each in (one, two):
            each.start()
            running.callback(each.stop)
        yield one, two
