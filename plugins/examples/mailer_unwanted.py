"""A validator with options: programs that this site takes no mail from."""

from collections.abc import Iterable

from forebay.api import TAG, Example, Field, FieldValidator, Finding, Plugin, validator


@validator(
    id="mailer-unwanted",
    rfc="",
    fields=("x-mailer", "user-agent"),
    action=TAG,
    good=[b"X-Mailer: The Bat! (v10.5)", Example(b"X-Mailer: Harmless 1.0", options=(("words", ["bulkblaster"]),))],
    bad=[Example(b"X-Mailer: BulkBlaster 9.1", options=(("words", ["bulkblaster"]),))],
)
class MailerUnwanted(FieldValidator):
    """Tags mail from programs that the site names.

    A bulk mailer that writes headers which a router dies of often tells its name. `words` are looked for without
    regard to case; without words, nothing is found.
    """

    words: tuple[str, ...] = ()

    def check(self, field: Field) -> Iterable[Finding]:
        """Report the first of the words."""
        value = field.value.lower()
        for word in self.words:
            start = value.find(word.lower().encode())
            if start >= 0:
                yield self.find("a mailer that this site takes no mail from", field, start, start + len(word.encode()))
                return


plugin = Plugin(name="mailer-unwanted", api=1, validators=(MailerUnwanted,))
