"""The show: sends each sample to Postfix over one connection, tells what became of it, and whether that was right."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from forebay.quickstart.raw_smtp import RawClient
from forebay.quickstart.samples import SAMPLES, SENDER, Action, Sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.quickstart.private_milter import PrivateMilter
    from forebay.quickstart.private_postfix import PrivatePostfix
    from forebay.quickstart.raw_smtp import Reply
    from forebay.quickstart.terminal import Terminal

_STYLE: Final = {
    Action.ACCEPT: "green",
    Action.TAG: "yellow",
    Action.QUARANTINE: "magenta",
    Action.REJECT: "red",
}
_TAG: Final = b"X-Forebay: "
_PLACE: Final = re.compile(r" at byte (\d+)")


class WrongError(Exception):
    """A message met with something else than it had to."""


class Show:
    """What is shown, and on what it runs."""

    def __init__(self, terminal: Terminal, postfix: PrivatePostfix, milter: PrivateMilter) -> None:
        self._terminal = terminal
        self._postfix = postfix
        self._milter = milter

    def run(self) -> int:
        """Send every sample; return how many met with something else than they had to.

        Raises OSError where the server hangs up or is silent.
        """
        wrong = 0
        with RawClient(self._postfix.port) as client:
            for number, sample in enumerate(SAMPLES, 1):
                wrong += not self._send(client, number, sample)
        return wrong

    def show_held(self) -> None:
        """What lies in the hold queue, and why."""
        self._terminal.line("In Postfix's hold queue, for a person to look at:", "bold")
        self._terminal.line()
        for queue_id, entry in self._postfix.held().items():
            to = ", ".join(each["address"] for each in entry["recipients"])
            self._terminal.cut(f"{queue_id}  {entry['message_size']} bytes  {entry['sender']} -> {to}", indent=2)
            self._terminal.line(self._milter.verdict_on(queue_id), _STYLE[Action.QUARANTINE], indent=6)
        self._terminal.line()

    def _send(self, client: RawClient, number: int, sample: Sample) -> bool:
        """Send one sample, print what became of it, and return whether that was right."""
        self._terminal.line(f"{number}  {sample.title}", "bold")
        if sample.evil:
            self._terminal.cut(sample.evil.decode("ascii", "backslashreplace"), "dim", indent=3)
        reply = client.send(SENDER, (sample.recipient,), sample.message).last
        if found := _PLACE.search(reply.text):
            # Bytes are counted from the colon.
            self._terminal.line(" " * (sample.evil.index(b":") + int(found[1])) + "^", _STYLE[sample.action], indent=3)
        self._terminal.line(reply.text, _STYLE[sample.action], indent=3)
        try:
            self._terminal.line(_OUTCOMES[sample.action](self._postfix, sample, reply), indent=3)
        except (WrongError, TimeoutError) as error:
            self._terminal.line(f"NOT AS EXPECTED: {error}", "red", indent=3)
            return False
        finally:
            self._terminal.line()
        return True


def _accepted(postfix: PrivatePostfix, sample: Sample, reply: Reply) -> str:
    _expect(reply.code == 250, "it had to be accepted")
    delivered = postfix.delivered(reply.queue_id)
    _expect(_TAG not in delivered, "it had to be delivered without a tag")
    _expect(sample.message.replace(b"\r\n", b"\n") in delivered, "it had to be delivered as it was written")
    return "accepted, and delivered as it was written"


def _tagged(postfix: PrivatePostfix, sample: Sample, reply: Reply) -> str:
    _expect(reply.code == 250, "it had to be accepted")
    tag = _tag(postfix.delivered(reply.queue_id))
    _expect(sample.validator in tag, f"it had to be tagged with {sample.validator}")
    return f"delivered with a tag: {tag}"


def _held(postfix: PrivatePostfix, sample: Sample, reply: Reply) -> str:
    _expect(reply.code == 250, "it had to be accepted and held")
    _expect(reply.queue_id in postfix.held(), "it had to lie in the hold queue")
    tag = _tag(postfix.held_message(reply.queue_id))
    _expect(sample.validator in tag, f"it had to be held for {sample.validator}")
    return f"held, not delivered: {tag}"


def _refused(_: PrivatePostfix, sample: Sample, reply: Reply) -> str:
    _expect(reply.code == 550, "it had to be refused")
    _expect(sample.validator in reply.text, f"it had to be refused for {sample.validator}")
    return "refused: it never was Postfix's, and the sender is told why"


_OUTCOMES: Final[dict[Action, Callable[[PrivatePostfix, Sample, Reply], str]]] = {
    Action.ACCEPT: _accepted,
    Action.TAG: _tagged,
    Action.QUARANTINE: _held,
    Action.REJECT: _refused,
}


def _tag(message: bytes) -> str:
    """The line of a message that tags it; empty where it has none."""
    lines = message.partition(b"\n\n")[0].split(b"\n")
    return next((line.decode("ascii", "backslashreplace") for line in lines if line.startswith(_TAG)), "")


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise WrongError(otherwise)
