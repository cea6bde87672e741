"""What the SMTP client said before DATA, as far as a validator may judge by it (RFC 5321 section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Envelope:
    """Sender and recipients with their angle brackets, as the MTA passes them on; the client as it connected.

    `client` is an address in text form (`192.0.2.1`, `2001:db8::1`), empty for local submission; `authenticated`
    is true after SMTP AUTH; `smtputf8` where MAIL FROM had that parameter (RFC 6531).
    """

    sender: bytes = b"<>"
    recipients: tuple[bytes, ...] = ()
    client: str = ""
    authenticated: bool = False
    smtputf8: bool = False

    @property
    def null_sender(self) -> bool:
        """A bounce or another message that must not be answered (RFC 5321 section 4.5.5)."""
        return self.sender in {b"<>", b""}
