"""What the author of a plugin imports, and all that he may import.

A plugin is a module with a `Plugin` object that lists its validators, found by the entry point group
`forebay.plugins` or as a single file in the configured directory:

    plugin = Plugin(name="acme", api=1, validators=(SubjectShouts,))

A validator is a class: its docstring documents it, its examples test it, `@validator(...)` says when it is called,
and its annotated attributes are its options.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from forebay.message.diagnosis import Defect, Diagnosis, Peak
from forebay.message.envelope import Envelope
from forebay.message.field import Field
from forebay.message.finding import Action, Finding
from forebay.message.header import Header
from forebay.message.kinds import DEFECTS, MEASURES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "ACCEPT",
    "API",
    "DEFECTS",
    "GROUPS",
    "MEASURES",
    "QUARANTINE",
    "REJECT",
    "TAG",
    "Action",
    "BodyStartValidator",
    "BudgetValidator",
    "Defect",
    "DefectValidator",
    "Diagnosis",
    "Envelope",
    "EnvelopeValidator",
    "Example",
    "Field",
    "FieldValidator",
    "Finding",
    "Header",
    "HeaderValidator",
    "Peak",
    "Plugin",
    "Spec",
    "Validator",
    "validator",
]

API: Final = 1
"""The number of this interface. A plugin states the one that it was written for."""

ACCEPT: Final = Action.ACCEPT
TAG: Final = Action.TAG
QUARANTINE: Final = Action.QUARANTINE
REJECT: Final = Action.REJECT

GROUPS: Final = ("budget", "address", "ambiguity", "hygiene")
"""The groups of validators: exemptions soften `hygiene` only."""

V = TypeVar("V", bound="Validator")


@dataclass(frozen=True, slots=True)
class Example:
    """Some bytes that a validator is to find something in, or nothing.

    `header` holds whole fields, as in a message (lines end with LF or CRLF). `sender` and `recipients` are the
    envelope, `body` the start of the body. `action` is what the preset `protect` makes of a bad one, where it is not
    the validator's default. `options` are set for this example only.
    """

    header: bytes = b""
    sender: bytes = b"<someone@example.org>"
    recipients: tuple[bytes, ...] = (b"<someone.else@example.com>",)
    body: bytes = b""
    smtputf8: bool = False
    action: Action | None = None
    options: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class Spec:
    """What `@validator` was told, checked."""

    id: str
    rfc: str
    group: str
    fields: frozenset[bytes]
    action: Action
    author_action: Action
    strict: Action
    strict_author: Action
    null_sender: Action | None
    good: tuple[Example, ...]
    bad: tuple[Example, ...]


class Validator:
    """The base of all kinds. Derive from one of the kinds below, not from this."""

    spec: ClassVar[Spec]

    def __init__(self, **options: object) -> None:
        """Set the options, already checked, for good."""
        self.__dict__.update(options)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name}: options are frozen once they are loaded")

    def find(
        self, text: str, field: Field | bytes = b"", start: int = 0, end: int = 0, action: Action | None = None
    ) -> Finding:
        """Make a finding of this validator: `text` is one line, and must not hold bytes of the mail.

        `field` is what `start` and `end` count in: a field of the header, or b"MAIL FROM", b"RCPT TO", b"body".
        """
        if isinstance(field, bytes):
            return Finding(self.spec.id, field, -1, start, end, text, action)
        return Finding(self.spec.id, field.name, field.index, start, end, text, action)


class FieldValidator(Validator):
    """Looks at one field at a time: called for each field named in `fields`, or for every field without it."""

    @abstractmethod
    def check(self, field: Field) -> Iterable[Finding]:
        """Report what is wrong with this field."""


class HeaderValidator(Validator):
    """Looks at the header as a whole: called once, and only for a header that has one of `fields` (if given)."""

    @abstractmethod
    def check(self, header: Header) -> Iterable[Finding]:
        """Report what is wrong with this header; its envelope is `header.envelope`."""


class EnvelopeValidator(Validator):
    """Looks at the envelope alone: called once a message."""

    @abstractmethod
    def check(self, envelope: Envelope) -> Iterable[Finding]:
        """Report what is wrong with this envelope."""


class BodyStartValidator(Validator):
    """Looks at the first chunk of the body (up to 65,535 bytes). Enabling one makes the MTA send that chunk."""

    @abstractmethod
    def check(self, start: bytes, header: Header) -> Iterable[Finding]:
        """Report what is wrong with the first bytes of the body."""


class DefectValidator(Validator):
    """Reports defects that the message layer has measured: needs no code. A clean header never calls it."""

    defects: ClassVar[tuple[str, ...]] = ()


class BudgetValidator(Validator):
    """Refuses by a number that the message layer has measured: needs no code.

    A level of 0 is switched off. The finding asks for the action of the highest level that was exceeded.
    """

    measure: ClassVar[str] = ""
    unit: ClassVar[str] = ""
    tag_above: int = 0
    quarantine_above: int = 0
    reject_above: int = 0


KINDS = (FieldValidator, HeaderValidator, EnvelopeValidator, BodyStartValidator, DefectValidator, BudgetValidator)


def validator(  # noqa: PLR0913 - what a validator says of itself, by keyword
    *,
    id: str,  # noqa: A002 - the word that the configuration, the log and the metrics use
    rfc: str,
    action: Action = TAG,
    group: str = "hygiene",
    fields: tuple[str, ...] = (),
    author_action: Action | None = None,
    strict: Action | None = None,
    null_sender: Action | None = None,
    good: Iterable[bytes | Example] = (),
    bad: Iterable[bytes | Example] = (),
) -> Callable[[type[V]], type[V]]:
    """Make a class a validator.

    `id` is kebab-case and stable: it is the configuration key, the metric label and the word in the log. `fields`
    are field names in lower case: the validator is only called for these. `action` is what the preset `protect`
    does, `author_action` the same in From and Sender, `strict` what the preset `strict` does (if it is more severe
    than `protect`), `null_sender` a softer action for messages from `<>`. `good` and `bad` are examples; a test runs
    them all.

    Raises TypeError where the class is not fit to be a validator: that is a mistake of its author.
    """

    def register(cls: type[V]) -> type[V]:
        if not re.fullmatch(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", id):
            raise TypeError(f"validator id {id!r} must be kebab-case")
        if group not in GROUPS:
            raise TypeError(f"{id}: group {group!r} is none of {', '.join(GROUPS)}")
        if not issubclass(cls, KINDS):
            raise TypeError(f"{id}: derive from one of {', '.join(kind.__name__ for kind in KINDS)}")
        if not (cls.__doc__ or "").strip():
            raise TypeError(f"{id}: say in the docstring what it refuses, and why")
        if getattr(getattr(cls, "check", None), "__isabstractmethod__", False):
            raise TypeError(f"{id}: write its method check")
        author = action if author_action is None else author_action
        cls.spec = Spec(
            id=id,
            rfc=rfc,
            group=group,
            fields=frozenset(name.lower().encode("ascii") for name in fields),
            action=action,
            author_action=author,
            strict=max(action, strict or action),
            strict_author=max(author, strict or author),
            null_sender=null_sender,
            good=tuple(map(_example, good)),
            bad=tuple(map(_example, bad)),
        )
        _check_names(cls)
        return cls

    return register


def _example(given: bytes | Example) -> Example:
    return given if isinstance(given, Example) else Example(header=given)


def _check_names(cls: type[Any]) -> None:
    if issubclass(cls, DefectValidator):
        unknown = [kind for kind in cls.defects if kind not in DEFECTS]
        if unknown or not cls.defects:
            raise TypeError(f"{cls.spec.id}: no such defect: {', '.join(unknown) or '(none given)'}")
    if issubclass(cls, BudgetValidator) and cls.measure not in MEASURES:
        raise TypeError(f"{cls.spec.id}: no such measure: {cls.measure or '(none given)'}")


@dataclass(frozen=True, slots=True)
class Plugin:
    """An installed unit that brings validators. `api` is the number of the interface that it was written for."""

    name: str
    api: int
    validators: tuple[type[Validator], ...] = ()
