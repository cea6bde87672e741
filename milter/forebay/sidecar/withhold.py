"""Withholding: a message waits out of the router's sight until another one's trial is over, or for its own.

What somebody has in hand is left to him: he would deliver what he has read, find nothing to finish, and it would be
delivered once more when it is let back.

`copy`: it has the fingerprint of a message that was struck once and is being tried again. `suspect`: it is one of
several that a worker held when it died; suspects are let back one at a time.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from forebay.api.router import Message
from forebay.logs import LOGGER, printable
from forebay.sidecar import moves

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.api.router import Adapter
    from forebay.sidecar.journal import Journal, Withheld

_log = logging.getLogger(LOGGER)
_FOLDER: Final = "withheld"


class Withholding:
    """What is withheld. Each move is an intent, a rename and an outcome, as in `aside`."""

    def __init__(
        self, journal: Journal, adapter: Adapter, directory: str, is_in_hand: Callable[[Message], bool],
        step: Callable[[str], None] = moves.nothing,
    ) -> None:  # fmt: skip
        self._journal = journal
        self._adapter = adapter
        self._directory = directory
        self._is_in_hand = is_in_hand
        self._step = step

    def withhold(self, message: Message, reason: str) -> bool:
        """Take a message out of the router's sight. False where it is gone, in hand, or cannot be moved."""
        if self._is_in_hand(message):
            return False
        kept = f"{self._directory}/{_FOLDER}/{message.identity.hex()}"
        with self._journal.change() as db:
            db.execute(
                "INSERT OR REPLACE INTO withheld VALUES (?, ?, ?, 'intended', ?, ?)",
                (message.identity, message.path, kept, reason, time.time()),
            )
        return self._carry_out(message, kept, reason)

    def _carry_out(self, message: Message, kept: str, reason: str) -> bool:
        try:
            moves.make_directory(self._directory)
            moves.make_directory(f"{self._directory}/{_FOLDER}")
            place = self._adapter.set_aside(message, kept, partial(self._take, message))
        except BlockingIOError:
            return False  # the intent stays: it is let go of, or a command of the router's own may yet do it
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                _log.error("cannot withhold %s: %s", printable(message.path), error)
            place = ""
        if not place:
            self.forget(message.identity)
            return False
        self._step("outcome")
        self._kept(message.identity, place)
        _log.info("withheld (%s): %s", reason.partition(":")[0], printable(message.path))
        return True

    def let_back(self, withheld: Withheld) -> bool:
        """Put a message back into the queue. False: later again."""
        with self._journal.change() as db:
            db.execute("UPDATE withheld SET state = 'returning' WHERE identity = ?", (withheld.identity,))
        return self._return(withheld)

    def forget(self, identity: bytes) -> None:
        """It is not withheld any more."""
        with self._journal.change() as db:
            db.execute("DELETE FROM withheld WHERE identity = ?", (identity,))

    def settle(self) -> None:
        """Finish what the last life of the sidecar left open, or what could not be done at once."""
        for each in self._journal.withheld():
            place = self._adapter.kept(_message(each), each.kept)
            if each.state == "returning":
                self._return(each)
            elif place and each.state == "intended":
                self._kept(each.identity, place)
            elif each.state == "intended":
                self._carry_out(_message(each), each.kept, each.reason)
            elif not place:
                self.forget(each.identity)

    def _kept(self, identity: bytes, place: str) -> None:
        with self._journal.change() as db:
            db.execute("UPDATE withheld SET state = 'kept', kept = ? WHERE identity = ?", (place, identity))

    def _take(self, message: Message, source: str, target: str) -> None:
        """Move a message that nobody has in hand; one that is taken up at that very moment is put back at once."""

        def step(name: str) -> None:
            self._step(name)
            if name == "rename" and self._is_in_hand(replace(message, path=source)):
                raise _in_hand(source)
            if name == "sync" and self._is_in_hand(replace(message, path=target)):
                with suppress(OSError):
                    moves.rename(target, source)
                if not os.path.lexists(target):
                    raise _in_hand(source)

        moves.move(source, target, step)

    def _move(self, source: str, target: str) -> None:
        moves.move(source, target, self._step)

    def _return(self, withheld: Withheld) -> bool:
        try:
            self._adapter.put_back(_message(withheld), withheld.original, withheld.kept, self._move)
        except FileNotFoundError:
            pass  # it was let back already
        except OSError as error:
            _log.error("cannot let %s back: %s", printable(withheld.original), error)
            return False
        self._step("outcome")
        self.forget(withheld.identity)
        _log.info("let back: %s", printable(withheld.original))
        return True


def _in_hand(path: str) -> BlockingIOError:
    return BlockingIOError(errno.EAGAIN, "somebody has it in hand", path)


def _message(withheld: Withheld) -> Message:
    return Message(withheld.original, withheld.identity, 0, 0)
