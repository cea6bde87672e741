"""What a person has let go: the very message, and once one that is like it.

A released message goes past the fingerprints that it has itself. Known by its identity it is let pass for good; a
router that makes another file of what it takes up (Postfix, of what waits in maildrop) makes it another message, which
is known by its fingerprints. The pass that who follows the store lays out for the next door counts as the same one.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from forebay.logs import LOGGER, printable
from forebay.sidecar.docket import let_pass

if TYPE_CHECKING:
    from forebay.api.router import Adapter, Message
    from forebay.sidecar.examine import Examined
    from forebay.sidecar.journal import Journal
    from forebay.sidecar.published import Published

_log = logging.getLogger(LOGGER)
_LIFE: Final = 5 * 86_400.0
"""In seconds: so long after its release a router may still take a message up."""
_BOTH: Final = 2
"""The message that was released, and what a router has made of it: more do not pass as one entry."""


class Released:
    """Asked before anything is taken for a copy of a killer. Its methods raise JournalError."""

    def __init__(self, journal: Journal, adapter: Adapter, published: Published | None) -> None:
        self._journal = journal
        self._adapter = adapter
        self._published = published

    def __call__(self, message: Message, examined: Examined) -> bool:
        """Whether it may pass."""
        if self._journal.has_pass(message.identity):
            return True
        entry = self._entry(message, examined)
        if entry:
            _log.info("released as entry %s, so let pass: %s", printable(entry, 40), printable(message.path))
            with self._journal.change() as db:
                let_pass(db, message.identity, entry)
        return bool(entry)

    def _entry(self, message: Message, examined: Examined) -> str:
        """The entry as which a message like this was released, unless another one has passed as that entry."""
        for entry, original in self._journal.put_back(examined.digests, time.time() - _LIFE):
            if self._adapter.remade(message, original) and self._journal.passed(entry) < _BOTH:
                return entry
        entry = self._published.released(examined) if self._published else ""
        return entry if self._journal.passed(entry) < _BOTH else ""
