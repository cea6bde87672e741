"""The settings of what is kept: the store, the quarantine, the fingerprints."""

from typing import Annotated, Final, Literal

from annotated_types import Gt
from pydantic import AfterValidator, ConfigDict
from pydantic.dataclasses import dataclass

from forebay.config_types import AbsolutePath, Count, Line, Seconds, Size, Text

_SECTION: Final = ConfigDict(extra="forbid", use_attribute_docstrings=True)
_DAY: Final = 86_400.0


def _url(value: str) -> str:
    if value and not value.startswith(("sqlite:////", "postgresql+psycopg://")):
        raise ValueError('write "postgresql+psycopg://USER@HOST/DATABASE", or "" for a file in milter.state')
    return value


Url = Annotated[Text, AfterValidator(_url)]


@dataclass(frozen=True, slots=True, config=_SECTION)
class Store:
    """Where entries, fingerprints and requests are kept."""

    url: Url = ""
    """The database that all hosts of a fleet share, as SQLAlchemy writes it; empty for store.db in milter.state."""
    host: Line = ""
    """The name of this host in the store; empty for milter.hostname. No two hosts may have the same."""


@dataclass(frozen=True, slots=True, config=_SECTION)
class Quarantine:
    """What waits for a person."""

    quota: Size = 2 << 30
    """Bytes of messages that may wait on this host; above it what would be quarantined is deferred. 0 means any."""
    retention: Annotated[Seconds, Gt(0)] = 30 * _DAY
    """Seconds that an entry is kept after its message is gone; one whose message waits is kept."""
    postfix: AbsolutePath = ""
    """The configuration directory of the Postfix whose hold queue is acted on; empty for the default instance."""
    sendmail: AbsolutePath = ""
    """The sendmail.cf of the Sendmail whose quarantine is acted on; empty for /etc/mail/sendmail.cf."""


@dataclass(frozen=True, slots=True, config=_SECTION)
class Fingerprints:
    """What becomes of mail that is like a message that killed a router."""

    action: Literal["quarantine", "reject", "tag"] = "quarantine"
    """What is done with a message that matches; under the preset observe it is only counted and logged."""
    expiry: Annotated[Seconds, Gt(0)] = 7 * _DAY
    """Seconds after which a fingerprint is no longer matched."""
    additions_per_hour: Count = 20
    """Fingerprints that all hosts together publish in an hour; more are refused, loudly. 0 means any."""
    suspend_after: Count = 20
    """Recipients of otherwise good mail after whom an exact fingerprint is no longer matched; 0 for never."""
