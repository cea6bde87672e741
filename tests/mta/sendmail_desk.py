"""A site whose Sendmail's quarantine is acted on: Sendmail, milter and sidecar, and what an operator types."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mta.private_sendmail import queue_id, sendmail_site
from mta.quarantine_kit import Desk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mta.private_sendmail import PrivateSendmail, SendmailSite


@contextmanager
def sendmail_desk(
    config: str = "", settings: str = "", folder: Path | None = None
) -> Iterator[tuple[SendmailSite, Desk]]:
    """A Sendmail and a milter, and the desk beside them."""
    with sendmail_site(config, settings=settings, folder=folder) as site:
        own = site.milter.folder / "clerk.toml"
        quarantine = f'[quarantine]\nsendmail = "{site.sendmail.folder}/etc/sendmail.cf"\n'
        own.write_text(f'{site.milter.config.read_text()}\n{quarantine}[sidecar]\nmetrics = ""\n')
        yield site, desk_of(own, site.sendmail)


def desk_of(config: Path, sendmail: PrivateSendmail) -> Desk:
    """What an operator of that Sendmail works with."""
    return Desk(config, {**os.environ, "PATH": f"{sendmail.commands}:{os.environ.get('PATH', '')}"})


def held(site: SendmailSite, data: bytes, sender: bytes = b"<jane@example.org>") -> str:
    """Send a message that is to be quarantined, and return its queue id."""
    name = queue_id(site.send(data, sender).last)
    assert name in site.sendmail.queued("hf"), site.milter.log()
    return name
