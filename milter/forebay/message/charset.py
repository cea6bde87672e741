"""Character sets by name: which are known, and what of their bytes is ASCII.

Names come from hostile mail: they are compared with a closed list, and never handed to a codec.
"""

from __future__ import annotations

from typing import Final

from forebay.message import pattern

LONGEST_NAME: Final = 40
"""Bytes of a charset name (RFC 2978 section 2.3). A longer one is unknown."""

# Names and usual aliases from the IANA registry (RFC 2978), and what mail of the last thirty years uses besides.
_KNOWN = pattern.compile(
    rb"""(?xi)
    us-ascii | ascii | ansi_x3\.4-19(?:68|86) | iso646-us | iso_646\.irv:1991 | utf-?8 | utf-7 | utf-(?:16|32)(?:be|le)?
  | iso-10646-ucs-[24] | unicode-1-1(?:-utf-7)? | cesu-8 | utf8mb4
  | iso[-_]?8859-(?:1[0-6]|[1-9])(?:-[ei])?(?::19[89][0-9])? | latin-?[1-9] | l[1-9] | iso-?8859[1-9]
  | (?:windows|cp|ibm|x-cp|x-ibm)-?(?:125[0-8]|874|93[26]|949|950|65001|43[7]|85[0-9]|86[0-69]|037|1026|1047|0?1140)
  | windows-31j | ms_kanji | koi8-[ru]u? | koi8 | koi7 | macintosh | mac | x-mac-[a-z]{1,16}
  | gb2312 | gb_2312-80 | gbk | gb18030 | hz-gb-2312 | csgb2312 | x-gbk | euc-cn | chinese
  | big5(?:-hkscs|-eten)? | cn-big5 | x-x-big5 | csbig5 | euc-tw | x-euc-tw
  | shift[-_]jis | x-sjis | sjis | csshiftjis | euc-jp | x-euc-jp | iso-2022-(?:jp(?:-[123]|-ms|-2004)?|kr|cn(?:-ext)?)
  | euc-kr | ks_c_5601-1987 | ks_c_5601 | ksc5601 | ksc_5601 | cseuckr | johab | x-windows-949
  | tis-620 | viscii | vps | tcvn | georgian-ps | armscii-8 | ptcp154 | kz-1048 | hp-roman8 | nextstep | x-unknown
  | unknown-8bit | x-user-defined
    """
).fullmatch

# Which charsets use bytes below 128 for something else than ASCII, and which text of theirs does.
_FOREIGN = (
    (
        pattern.compile(rb"(?i)utf-?(?:16|32).*+|iso-10646.*+|.*-?(?:037|1026|1047|1140)").fullmatch,
        pattern.compile(rb"(?s).++"),
    ),
    (
        pattern.compile(rb"(?i)iso-2022-.*+").fullmatch,
        pattern.compile(rb"(?s)\x1b[$][^\x1b]*+|\x1b\([BJI]?+|\x0e[^\x0f]*+\x0f?+"),
    ),
    (pattern.compile(rb"(?i)hz-.*+").fullmatch, pattern.compile(rb"~\{[^~]*+(?:~\})?+")),
    (
        pattern.compile(rb"(?i)(?:x-)?sjis|.*shift[-_]?jis|.*932|windows-31j|ms_kanji").fullmatch,
        pattern.compile(rb"(?s)[\x81-\x9f\xe0-\xfc].?+"),
    ),
    (
        pattern.compile(rb"(?i).*gb.*|.*936|.*big5.*|.*950|johab|.*949|ks_?c_?5601.*").fullmatch,
        pattern.compile(rb"(?s)[\x81-\xfe].?+"),
    ),
)


def is_known(name: bytes) -> bool:
    """Whether a charset is registered with IANA or in common use."""
    return len(name) <= LONGEST_NAME and _KNOWN(name) is not None


def ascii_only(name: bytes, text: bytes) -> bytes:
    """The bytes of a text that mean ASCII in that charset (the others may be left in, if above 127, or dropped).

    Multi-byte charsets use bytes below 128 as halves of a character: `<` may be part of a kanji.
    """
    if name[:3] in {b"utf", b"UTF", b"iso", b"ISO"} and name[3:6] in {b"-8", b"-88"}:
        return text  # nearly always
    if len(name) > LONGEST_NAME:
        return text
    for is_one, foreign in _FOREIGN:
        if is_one(name):
            return foreign.sub(b"", text)
    return text
