"""A validator that needs the envelope: the sender's domain against that of From."""

from collections.abc import Iterable

from forebay.api import TAG, Example, Finding, Header, HeaderValidator, Plugin, validator


@validator(
    id="sender-domain-differs",
    rfc="RFC 7489 3.1",
    fields=("from",),
    action=TAG,
    good=[
        Example(b"From: Jane <jane@example.org>", sender=b"<jane@example.org>"),
        Example(b"From: jane@example.org", sender=b"<bounce-17@news.example.org>"),
        Example(b"From: jane@example.org", sender=b"<>"),
        Example(b"List-Id: <l.example.net>\nFrom: jane@example.org", sender=b"<l-bounces@example.net>"),
    ],
    bad=[Example(b"From: Your Bank <service@example.org>", sender=b"<x81@example.net>")],
)
class SenderDomainDiffers(HeaderValidator):
    """Tags a message whose envelope sender is of another domain than its author.

    That is usual for mailing lists and for those who send on behalf of others; for the rest it is a reason to look
    twice. A subdomain is not another domain.
    """

    ignore_lists: bool = True

    def check(self, header: Header) -> Iterable[Finding]:
        """Compare the first author's domain with the sender's. A bounce has no sender to compare."""
        author = header.first(b"from")
        if author is None or header.envelope.null_sender or (self.ignore_lists and header.first(b"list-id")):
            return
        sender = header.envelope.sender.strip(b"<>").rpartition(b"@")[2].lower()
        for mailbox in author.addresses.mailboxes[:1]:
            if sender and not related(sender, mailbox.domain.lower()):
                yield self.find("envelope sender of another domain", author, mailbox.start, mailbox.end)


def related(one: bytes, other: bytes) -> bool:
    """Whether two domains are the same, or one lies below the other."""
    return one == other or one.endswith(b"." + other) or other.endswith(b"." + one)


plugin = Plugin(name="sender-domain-differs", api=1, validators=(SenderDomainDiffers,))
