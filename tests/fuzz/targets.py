"""All targets by their names: each takes any bytes, and raises where something does not hold that has to."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from fuzz import file_targets, message_targets, verdict_targets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = MappingProxyType({
    each.__name__: each
    for each in (
        message_targets.addresses, message_targets.paths, message_targets.fields, message_targets.texts,
        message_targets.messages, verdict_targets.verdicts, verdict_targets.growth, file_targets.record,
        file_targets.postfix, file_targets.sendmail, file_targets.router, file_targets.mailbox,
    )
})  # fmt: skip
