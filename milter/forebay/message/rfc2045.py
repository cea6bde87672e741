"""MIME fields: Content-Type, Content-Transfer-Encoding, MIME-Version (RFC 2045), Content-Disposition (RFC 2183)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forebay.message import pattern, rfc2047, rfc2231
from forebay.message.diagnosis import Diagnosis
from forebay.message.mask import COMMENT, extent, mask
from forebay.message.parameter import CFWS, TCHAR, Parameter, read

if TYPE_CHECKING:
    from forebay.message.field import Field

MOST_PARAMETERS: Final = 64
"""Parameters that are kept for validators."""

# Recognition: the values that nearly every mail has. Each parameter at most once, all of them short and plain.
_PLAIN = r'(?:[0-9A-Za-z._+-]{1,70}+|"[0-9A-Za-z._+/:-]{1,70}+")'
_BOUNDARY = r"""(?:[0-9A-Za-z'+_.-]{1,70}+|"[0-9A-Za-z'()+_,./:=?-]{1,70}+")"""
_FILE = r'(?:[0-9A-Za-z][0-9A-Za-z._-]{0,70}+|"[0-9A-Za-z][0-9A-Za-z ._()&,+=#\[\]-]{0,70}+")'


_USUAL = {
    "boundary": _BOUNDARY, "charset": _PLAIN, "format": _PLAIN, "delsp": _PLAIN, "name": _FILE, "type": _PLAIN,
    "protocol": _PLAIN, "micalg": _PLAIN, "report-type": _PLAIN,
}  # fmt: skip


def _each_once(parameters: dict[str, str], first: int) -> str:
    """One of these parameters, unless its group, numbered from `first`, says that it was there already."""
    return "|".join(
        rf"{name}=(?({group})(?!)){value}()" for group, (name, value) in enumerate(parameters.items(), first)
    )


# Group 1 is set for a multipart, and group 2 if there is a boundary, which a multipart must have.
recognise_content_type: Final = pattern.compile(
    (
        r"(?i)[ ]?+(?:(multipart)|text|application|image|audio|video)/[a-z0-9.+-]{1,70}+"
        rf"(?:[ ]?+;[ \t\n]{{0,9}}+(?:{_each_once(_USUAL, 2)}))*+(?(1)(?(2)|(?!)))"
    ).encode()
).fullmatch

recognise_encoding: Final = pattern.compile(rb"(?i)[ ]?+(?:7bit|8bit|binary|quoted-printable|base64)").fullmatch

recognise_mime_version: Final = pattern.compile(rb"[ ]?+1\.0(?:[ ]\([0-9A-Za-z .,/:;-]{1,60}+\))?+").fullmatch

recognise_disposition: Final = pattern.compile(
    rf"(?i)[ ]?+(?:inline|attachment)(?:;[ \t\n]*+filename={_FILE})?+".encode()
).fullmatch

# type "/" subtype, or a token; what stands behind it up to the first semicolon
_HEAD = pattern.compile(rf"{CFWS}*+(?:({TCHAR}++)(?:{CFWS}*+/{CFWS}*+({TCHAR}++))?+{CFWS}*+)?+([^;]*+)".encode())
_VERSION = pattern.compile(rf"{CFWS}*+0*+1{CFWS}*+\.{CFWS}*+0++{CFWS}*+".encode()).fullmatch
_BOUNDARY_TEXT = pattern.compile(rb"[0-9A-Za-z'()+_,./:=? -]*+(?<! )").fullmatch  # RFC 2046 section 5.1.1
_ENCODINGS = frozenset({b"7bit", b"8bit", b"binary", b"quoted-printable", b"base64"})
_COMMENTS = pattern.compile(bytes((COMMENT,)) + rb"++")
_BLANKS = b" \t\r\n\x01"
_COMPOSITE = pattern.compile(rb"(?i)(?:multipart/|message/(?!global))").match

# A file name that leads out of its directory: from the root, from a drive, or by "..".
_PATH = pattern.compile(rb"(?:\A|[/\\])\.\.(?:[/\\]|\Z)|\A(?:[A-Za-z]:)?[/\\](?![\"'])|[\x00-\x08\x0a-\x1f\x7f]").search


@dataclass(frozen=True, slots=True)
class MimeValue:
    """A token or media type with its parameters.

    `kind` is in lower case, without blanks and comments (`text/plain`, `base64`), at `value[start:end]`; empty where
    there is none. What else stands before the first semicolon is junk, and ends at `junk_end`; without junk that is
    `end`. `parameters` are the first `MOST_PARAMETERS`.
    """

    kind: bytes
    parameters: tuple[Parameter, ...]
    diagnosis: Diagnosis
    start: int
    end: int
    junk_end: int

    def parameter(self, name: bytes) -> bytes | None:
        """The value of a parameter (its name in lower case), joined and decoded as RFC 2231 says; None without it."""
        return rfc2231.join(self.parameters, name)


def scan(value: bytes) -> MimeValue:
    """Read a MIME field, and say what is wrong with its comments, quotes and parameters, whichever field it is."""
    diagnosis = Diagnosis()
    masked = mask(value)
    diagnosis.effort = masked.effort
    text, size = masked.text, len(value)
    diagnosis.measure("comments", masked.comments, 0, size)
    diagnosis.measure("comment-depth", masked.depth, masked.deepest, size)
    diagnosis.measure("encoded-words", rfc2047.count(value), 0, size)
    if masked.open_comment >= 0:
        diagnosis.note("mime-comment", masked.open_comment, size, "comment that is not closed")
    if masked.open_quote >= 0:
        diagnosis.note("mime-quote-unbalanced", masked.open_quote, size, "unbalanced quotation mark")
    match = _HEAD.match(text)
    assert match  # it matches anything
    kind = (match[1] or b"") + (b"/" + match[2] if match[2] else b"")
    start, end = match.start(3), match.start(3)
    if kind:
        start, end = match.start(1), max(match.end(1), match.end(2))
    comment = _COMMENTS.search(text, 0, end)
    if comment and comment.start() != masked.open_comment:
        diagnosis.note("mime-comment", *comment.span(), "comment inside or before the media type")
    parameters = read(value, masked, match.end(), diagnosis)
    _check_repeated(parameters, diagnosis)
    rfc2231.check(parameters, diagnosis)
    junk = match[3].rstrip(_BLANKS)
    junk_end = match.start(3) + len(junk) if junk else end
    return MimeValue(kind.lower(), tuple(parameters[:MOST_PARAMETERS]), diagnosis, start, end, junk_end)


def diagnose_content_type(field: Field) -> Diagnosis:
    """Say what is wrong with Content-Type: `type "/" subtype *(";" parameter)` (RFC 2045 section 5.1)."""
    mime = scan(field.value)
    diagnosis = mime.diagnosis
    written = field.value[mime.start : mime.end]
    multipart = mime.kind.startswith(b"multipart") or mime.parameter(b"boundary") is not None
    malformed = "content-type-malformed-multipart" if multipart else "content-type-malformed"
    if b"/" not in mime.kind:
        diagnosis.note(malformed, mime.start, mime.junk_end, 'no "type/subtype"')
    elif mime.junk_end > mime.end:
        diagnosis.note(malformed, mime.end, mime.junk_end, "text between media type and semicolon")
    elif len(written) > len(mime.kind) and b"(" not in written:
        diagnosis.note(malformed, mime.start, mime.end, "blank inside the media type")
    _check_boundary(mime)
    if not mime.kind.startswith(b"message/external-body"):  # there, it names a file on a server (RFC 2046 5.2.3)
        _check_file_name(field.value, mime, b"name")
    return diagnosis


def diagnose_disposition(field: Field) -> Diagnosis:
    """Say what is wrong with Content-Disposition: `disposition-type *(";" parameter)` (RFC 2183 section 2)."""
    mime = scan(field.value)
    if not mime.kind or b"/" in mime.kind or mime.junk_end > mime.end:
        end = max(mime.junk_end, min(mime.start + 1, len(field.value)))
        mime.diagnosis.note("disposition-malformed", mime.start, end, "no disposition before the parameters")
    _check_file_name(field.value, mime, b"filename")
    return mime.diagnosis


def diagnose_encoding(field: Field) -> Diagnosis:
    """Say what is wrong with Content-Transfer-Encoding: one word of a short list, or `x-token` (RFC 2045 section 6.1)."""
    mime = scan(field.value)
    words = mime.kind and field.value[mime.end : mime.junk_end].strip(_BLANKS)
    if words:
        mime.diagnosis.note("encoding-multiple", mime.start, mime.junk_end, "text after the encoding")
    elif mime.kind not in _ENCODINGS and mime.kind[:2] != b"x-":
        mime.diagnosis.note("encoding-unknown", mime.start, mime.junk_end, "encoding that does not exist")
    elif b";" in field.value[mime.junk_end :]:
        mime.diagnosis.note("encoding-unknown", mime.junk_end, len(field.value), "parameters after the encoding")
    return mime.diagnosis


def diagnose_mime_version(field: Field) -> Diagnosis:
    """Say what is wrong with MIME-Version: `1.0`, comments anywhere around its parts (RFC 2045 section 4)."""
    diagnosis = Diagnosis()
    masked = mask(field.value)
    diagnosis.effort = masked.effort
    size = len(field.value)
    diagnosis.measure("comments", masked.comments, 0, size)
    diagnosis.measure("comment-depth", masked.depth, masked.deepest, size)
    if masked.open_comment >= 0:
        diagnosis.note("mime-version-invalid", masked.open_comment, size, "comment that is not closed")
    elif not _VERSION(masked.text):
        diagnosis.note("mime-version-invalid", *extent(field.value), 'not "1.0"')
    return diagnosis


def encoding_on_composite(content_type: MimeValue, encoding: MimeValue) -> bool:
    """Whether a multipart or message has an encoding of its own, which RFC 2045 section 6.4 forbids.

    Its parts have their encodings: scanners that heed the rule do not decode, readers that do not heed it do.
    `message/global` may be encoded (RFC 6532 section 3.7).
    """
    return encoding.kind in {b"base64", b"quoted-printable"} and _COMPOSITE(content_type.kind) is not None


def _check_repeated(parameters: list[Parameter], diagnosis: Diagnosis) -> None:
    """A parameter may stand once (RFC 2045 section 5): programs disagree on which one of two counts."""
    seen: dict[bytes, bytes] = {}
    for parameter in parameters:
        name, value = parameter.name, parameter.value
        if name not in seen:
            seen[name] = value
        elif b"*" not in name:  # sections are rfc2231.py's
            place = parameter.start, parameter.end
            if value == seen[name] or (name != b"boundary" and value.lower() == seen[name].lower()):
                diagnosis.note("parameter-repeated", *place, "parameter that stands twice")
            elif name == b"boundary":
                diagnosis.note("boundary-duplicate", *place, "second boundary")
            else:
                diagnosis.note("parameter-duplicate", *place, "parameter that stands twice, with two values")


def _check_boundary(mime: MimeValue) -> None:
    """A multipart has `boundary := 0*69<bchars> bcharsnospace` (RFC 2046 section 5.1.1)."""
    boundary = mime.parameter(b"boundary")
    if boundary is None:
        if mime.kind.startswith(b"multipart/"):
            mime.diagnosis.note("boundary-missing", mime.start, mime.end, "multipart without boundary")
        return
    place = _place(mime, b"boundary")
    mime.diagnosis.measure("boundary-bytes", len(boundary), *place)
    if not boundary:
        mime.diagnosis.note("boundary-empty", *place, "empty boundary")
    elif not _BOUNDARY_TEXT(boundary):
        mime.diagnosis.note("boundary-malformed", *place, "character that a boundary may not have")


def _check_file_name(value: bytes, mime: MimeValue, parameter: bytes) -> None:
    """A file name is no path, and is not trusted with one (RFC 2183 sections 2.3 and 5).

    It is judged as it is meant, and as a program reads it that does not know of backslashes that quote.
    """
    meant = mime.parameter(parameter)
    if meant is None:
        return
    start, end = _place(mime, parameter)
    attribute, _, written = value[start:end].partition(b"=")
    if b"*" not in attribute:
        meant = rfc2047.decode_all(_unfold(meant))
    if _PATH(meant) or _PATH(_unfold(written.strip(b' \t\r\n"'))):
        mime.diagnosis.note("filename-path", start, end, "file name with a path or a control character")


def _unfold(text: bytes) -> bytes:
    return text.replace(b"\r", b"").replace(b"\n", b"")


def _place(mime: MimeValue, name: bytes) -> tuple[int, int]:
    """Where a parameter stands, in whatever way it is written."""
    found = next(p for p in mime.parameters if p.name.partition(b"*")[0] == name)
    return found.start, found.end
