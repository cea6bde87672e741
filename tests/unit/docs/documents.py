"""The documents as the tests see them: blocks of code, headings, links, and parts that are written by a test."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
README: Final = ROOT / "README.md"
REFERENCE: Final = ROOT / "milter" / "README.md"
GUIDE: Final = ROOT / "plugins" / "README.md"
OURS: Final = (README, REFERENCE)
ALL: Final = (README, REFERENCE, GUIDE)

_BLOCK: Final = re.compile(r"^(`{3,})(\w*)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
_HEADING: Final = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_LINK: Final = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_INLINE: Final = re.compile(r"`+[^`]+`+")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code: its language, its text, and where it stands."""

    language: str
    text: str
    where: str


def name(path: Path) -> str:
    """A document as a person calls it."""
    return str(path.relative_to(ROOT))


def blocks(language: str = "", paths: tuple[Path, ...] = OURS) -> list[Block]:
    """The blocks of some documents, all or those in one language, in their order."""
    found = []
    for path in paths:
        text = path.read_text("utf-8")
        for match in _BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            if language in {"", match[2]}:
                found.append(Block(match[2], match[3], f"{name(path)}:{line}"))
    return found


def prose(path: Path) -> str:
    """A document without its blocks."""
    return _BLOCK.sub("", path.read_text("utf-8"))


def section(path: Path, heading: str) -> str:
    """What stands below a heading, up to the next one of its level or above, without the blocks."""
    level = heading.partition(" ")[0]
    _, found, rest = prose(path).partition(f"\n{heading}\n")
    assert found, f"{name(path)} has no heading {heading!r}"
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    found: set[str] = set()
    for heading in _HEADING.findall(prose(path)):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number, unique = 0, anchor
        while unique in found:
            number += 1
            unique = f"{anchor}-{number}"
        found.add(unique)
    return found


def links(path: Path) -> list[str]:
    """Where the links of a document lead."""
    return _LINK.findall(_INLINE.sub("", prose(path)))


def cells(text: str, column: int = 0) -> list[str]:
    """One column of the tables in a text, without their heads."""
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    heads = {line for line, below in zip(text.splitlines(), text.splitlines()[1:], strict=False) if below[:4] == "|---"}
    heads = {head.split(" | ")[0] for head in heads}
    return [row[column].strip("| ") for row in rows if row[0] not in heads]


def names_in(text: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`\n]+)`", text)


def written(path: Path, part: str, text: str) -> tuple[str, str]:
    """A part of a document that a test writes, as it stands there and as it has to be. FOREBAY_WRITE=1 writes it."""
    begin = f"<!-- {part}: begin (written by tests/unit/docs/test_docs_reference.py) -->\n"
    end = f"<!-- {part}: end -->\n"
    before, found, rest = path.read_text("utf-8").partition(begin)
    stands, closed, after = rest.partition(end)
    assert found
    assert closed
    if os.environ.get("FOREBAY_WRITE"):
        stands = f"\n{text.strip()}\n\n"
        path.write_text(before + begin + stands + end + after, "utf-8")
    return stands.strip(), text.strip()
