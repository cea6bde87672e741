"""What a router makes of a message that was released is let pass, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forebay.sidecar.routers.spool import Spool
from sidecar.cases_kit import begin, put

if TYPE_CHECKING:
    from pathlib import Path

    from forebay.api.router import Message
    from sidecar.cases_kit import Kit


class Remaking(Spool):
    """A router that writes what it takes up into a file of its own, as Postfix does with what waits in maildrop."""

    def remade(self, message: Message, original: str) -> bool:
        return "/made-of-" in message.path and "/made-of-" not in original


def released(root: Path, kind: type[Spool]) -> Kit:
    """A message that was convicted, set aside, let go by a person, and taken up by the router."""
    kit = begin(root, kind=kind)
    put(root, "killer", "evil")
    kit.strike("killer")
    kit.strike("killer")
    (entry,) = kit.journal.entries("aside")
    kit.ask("release", entry.id)
    kit.settle()
    (root / "spool" / "killer").unlink()
    return kit


def test_what_became_of_a_released_message_passes_once(tmp_path: Path) -> None:
    """The file that the router makes of it is no copy of a killer; the next one like it is."""
    kit = released(tmp_path, Remaking)
    put(tmp_path, "made-of-killer", "evil")
    kit.settle()
    kit.settle()
    assert list(kit.adapter.paths()) == [str(tmp_path / "spool" / "made-of-killer")]
    put(tmp_path, "made-of-another", "evil")
    kit.settle()
    assert [each.original.rpartition("/")[2] for each in kit.journal.entries("aside")] == ["made-of-another"]
    assert list(kit.adapter.paths()) == [str(tmp_path / "spool" / "made-of-killer")]


def test_what_nobody_made_of_a_released_message_is_a_copy(tmp_path: Path) -> None:
    """Where a router keeps the file that is put back, another file of the same text is a copy of the killer."""
    kit = released(tmp_path, Spool)
    put(tmp_path, "made-of-killer", "evil")
    kit.settle()
    assert [each.original.rpartition("/")[2] for each in kit.journal.entries("aside")] == ["made-of-killer"]


def test_a_copy_that_went_by_itself_leaves_nothing(tmp_path: Path) -> None:
    """What was to be set aside and is gone has no evidence lying there for ever."""
    released(tmp_path, Spool)
    path = put(tmp_path, "copy", "evil")

    def vanish(step: str) -> None:
        if step == "evidence":
            path.unlink(missing_ok=True)

    kit = begin(tmp_path, vanish)
    kit.settle()
    assert len(kit.journal.entries("vanished")) == 1
    assert not list((tmp_path / "spool" / "forebay-aside").iterdir())
