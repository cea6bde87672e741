"""Both kinds of store, and records to fill them with."""

from __future__ import annotations

from typing import Final

from forebay.records import Record, RecordedFinding, new_id

AT: Final = 1_795_000_000.0
FINDING: Final = RecordedFinding(
    "address-multiple-at", b"To", 1, 5, 6, "second @ in an address at byte 6", "quarantine"
)


def record(number: int = 0, **changed: object) -> Record:
    """A record, one like any other."""
    values: dict[str, object] = {
        "id": new_id(AT + number), "at": AT + number, "host": "a", "action": "quarantine", "queue_id": f"Q{number}",
        "client": f"192.0.2.{number % 250}", "sender": b"<jane@example.org>", "recipients": (b"<joe@example.com>",),
        "recipient_count": 1, "size": 120, "exact": f"{number:032x}", "shape": "", "matched": "", "findings": (FINDING,),
        "header": ((b"From", b" jane@example.org"), (b"To", b" joe@@example.com")), **changed,
    }  # fmt: skip
    return Record(**values)  # type: ignore[arg-type]  # by name
