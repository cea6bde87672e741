"""Which field has which grammar: RFC 5322 section 3.6, and the fields that software reads in the same way."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from forebay.message import address_usual, rfc2045, rfc5322_address, rfc5322_date, rfc5322_id, trace
from forebay.message.field import AUTHOR
from forebay.message.grammar import Grammar
from forebay.message.measures import ADDRESS_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forebay.message.diagnosis import Diagnosis
    from forebay.message.field import Field


def _addresses(field: Field) -> Diagnosis:
    """What is wrong with an address list. Its mailboxes are only made for those who ask for them."""
    usual = rfc5322_address.measure_usual(field.value, author=field.key in AUTHOR)
    return usual or field.addresses.diagnosis


def _date(field: Field) -> Diagnosis:
    return field.date.diagnosis


MAILBOX: Final = Grammar(address_usual.recognise_mailbox, _addresses)
ADDRESS_LIST: Final = Grammar(address_usual.recognise_list, _addresses)
DATE_TIME: Final = Grammar(rfc5322_date.recognise, _date)
MSG_ID: Final = Grammar(rfc5322_id.recognise_one, rfc5322_id.diagnose_one)
MSG_IDS: Final = Grammar(rfc5322_id.recognise_many, rfc5322_id.diagnose_many)
CONTENT_TYPE: Final = Grammar(rfc2045.recognise_content_type, rfc2045.diagnose_content_type)
ENCODING: Final = Grammar(rfc2045.recognise_encoding, rfc2045.diagnose_encoding)
DISPOSITION: Final = Grammar(rfc2045.recognise_disposition, rfc2045.diagnose_disposition)
MIME_VERSION: Final = Grammar(rfc2045.recognise_mime_version, rfc2045.diagnose_mime_version)
RECEIVED: Final = Grammar(trace.recognise_received, trace.diagnose_received)
LIST_URLS: Final = Grammar(trace.recognise_list, trace.diagnose_list)
DKIM: Final = Grammar(trace.recognise_dkim, trace.diagnose_dkim)

GRAMMARS: Final[Mapping[bytes, Grammar]] = MappingProxyType(
    {name: MAILBOX if name in AUTHOR else ADDRESS_LIST for name in ADDRESS_NAMES}
    | dict.fromkeys((b"date", b"resent-date"), DATE_TIME)
    | dict.fromkeys((b"message-id", b"resent-message-id", b"content-id"), MSG_ID)
    | dict.fromkeys((b"in-reply-to", b"references"), MSG_IDS)
    | dict.fromkeys((b"list-help", b"list-unsubscribe", b"list-subscribe", b"list-owner", b"list-archive"), LIST_URLS)
    | {
        b"content-type": CONTENT_TYPE,
        b"content-transfer-encoding": ENCODING,
        b"content-disposition": DISPOSITION,
        b"mime-version": MIME_VERSION,
        b"received": RECEIVED,
        b"dkim-signature": DKIM,
    }
)
"""By the field's name in lower case. What is not in here is unstructured."""
