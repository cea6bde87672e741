"""Sizes and counts of the whole header: the budgets that stop what kills parsers, before any grammar is looked at.

Field names are looked at here too (RFC 5322 section 3.6.8): a header with a wrong one is no header.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from forebay.message.diagnosis import Diagnosis

if TYPE_CHECKING:
    from collections.abc import Mapping

ADDRESS_NAMES: Final = frozenset({
    b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc",
    b"resent-from", b"resent-sender", b"resent-reply-to", b"resent-to", b"resent-cc", b"resent-bcc",
    b"disposition-notification-to", b"return-receipt-to", b"errors-to", b"mail-followup-to", b"mail-reply-to",
    b"apparently-to",
})  # fmt: skip
"""Fields that hold addresses: RFC 5322 section 3.6, and those that software treats alike."""

AUTHOR_NAMES: Final = frozenset({b"from", b"sender", b"reply-to"})

_NAME_OCTETS: Final = bytes(octet for octet in range(33, 127) if octet != ord(":"))
"""RFC 5322 section 3.6.8: ftext."""

_COUNTED: Final = {b"received": "received-fields", b"dkim-signature": "dkim-fields"}


_INTERESTING: Final = ADDRESS_NAMES | frozenset(_COUNTED)


NO_FLOORS: Final[Mapping[str, int]] = MappingProxyType({})


def usual(names: list[bytes], values: list[bytes], floors: Mapping[str, int] = NO_FLOORS) -> bool:
    """Whether `measure` would find nothing above these floors, and no malformed name: a quick look.

    Errs towards False only.
    """
    floor = floors.get
    joined = b"".join(names)
    if joined.translate(None, _NAME_OCTETS) or b"" in names or len(names) > floor("header-fields", 0):
        return False
    sizes = list(map(len, values))
    if len(joined) + sum(sizes) + 2 * len(names) > floor("header-bytes", 0):
        return False
    if max(sizes, default=0) > min(floor("field-bytes", 0), floor("author-field-bytes", 0)):
        return False
    if max(map(len, names), default=0) > floor("name-bytes", 0):
        return False
    counted = [name for name in names if name in _INTERESTING]
    most = min(floor("received-fields", 0), floor("dkim-fields", 0), floor("address-field-repeats", 0))
    return len(counted) <= most or max(map(counted.count, set(counted))) <= most


def measure(names: list[bytes], values: list[bytes], floors: Mapping[str, int] = NO_FLOORS) -> Diagnosis:
    """Measure a header by the names of its fields, in lower case, and their values.

    A value that is not above the floor of its measure is of interest to nobody, and is left out.
    """
    diagnosis = Diagnosis()
    floor = floors.get
    if not names:
        return diagnosis
    name_sizes, sizes = list(map(len, names)), list(map(len, values))
    longest_name, longest = max(name_sizes), max(sizes)
    total = sum(name_sizes) + sum(sizes) + 2 * len(names)  # the colon and the line's end
    if total > floor("header-bytes", 0):
        diagnosis.measure("header-bytes", total, 0, 0)
    if len(names) > floor("header-fields", 0):
        diagnosis.measure("header-fields", len(names), 0, 0)
    diagnosis.measure("field-bytes", longest, 0, longest, sizes.index(longest))
    diagnosis.measure("name-bytes", longest_name, 0, 0, name_sizes.index(longest_name))
    _look_at_known(names, sizes, floors, diagnosis)
    if b"".join(names).translate(None, _NAME_OCTETS) or not min(name_sizes):
        for index, name in enumerate(names):
            if not name or name.translate(None, _NAME_OCTETS):
                diagnosis.note("name-invalid", 0, 0, "field name with characters that none may have", index)
    return diagnosis


def _look_at_known(names: list[bytes], sizes: list[int], floors: Mapping[str, int], diagnosis: Diagnosis) -> None:
    """The fields that are counted, and the size of those that name an author."""
    floor = floors.get
    repeats: dict[bytes, int] = {}
    for name in [name for name in names if name in _INTERESTING]:
        repeats[name] = repeats.get(name, 0) + 1
    for name, count in repeats.items():
        kind = _COUNTED.get(name, "address-field-repeats")
        if count > floor(kind, 0):
            place = len(names) - 1 - names[::-1].index(name) if count > 1 else -1
            diagnosis.measure(kind, count, 0, 0, place)
    largest = floor("author-field-bytes", 0)
    for author in AUTHOR_NAMES & repeats.keys():
        index = -1
        for _ in range(repeats[author]):
            index = names.index(author, index + 1)
            if sizes[index] > largest:
                diagnosis.measure("author-field-bytes", sizes[index], 0, sizes[index], index)
