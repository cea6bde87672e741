"""Every malformation of the catalogue has an answer, and the tables of plugins/README.md are the validators' own words.

FOREBAY_WRITE=1 writes the tables anew.
"""

from __future__ import annotations

import inspect
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import forebay_validators
from forebay.api import DEFECTS, MEASURES, BudgetValidator, DefectValidator, validator
from forebay.config import Config
from forebay.judge.catalogue import Entry, catalogue
from forebay.testing import Message, Runner, run_examples

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
GUIDE = ROOT / "plugins" / "README.md"
BEGIN = "<!-- catalogue: begin (written by tests/unit/corpus/test_corpus_catalogue.py) -->\n"
END = "<!-- catalogue: end -->\n"

CATALOGUE = tuple((ROOT / "tests" / "corpus" / "catalogue.txt").read_text(encoding="ascii").split())
ANSWERS = tomllib.loads((ROOT / "plugins" / "forebay_validators" / "answers.toml").read_text(encoding="utf-8"))
MERGED, SPLIT, LEFT_OUT = ANSWERS["merged"], ANSWERS["split"], ANSWERS["left_out"]
ENTRIES = {each.id: each for each in catalogue() if each.plugin == forebay_validators.plugin.name}

VERBS = {"accept": "Counts", "tag": "Tags", "quarantine": "Quarantines", "reject": "Refuses"}

_BYTES = re.compile(r"Bytes:\s(.*)\Z", re.DOTALL)


def test_each_id_is_answered() -> None:
    """Every id is a validator, or merged into validators that exist, or left out with a reason; never two of these."""
    assert len(set(CATALOGUE)) == len(CATALOGUE)
    for each in CATALOGUE:
        assert (each in ENTRIES) + (each in MERGED) + (each in LEFT_OUT) == 1, each
    assert set(MERGED) | set(LEFT_OUT) | set(SPLIT) <= set(CATALOGUE)
    assert all(len(reason.split()) > 5 for reason in LEFT_OUT.values())


def test_each_validator_answers_an_id() -> None:
    """Every built-in validator has the name of an id, or is named as an answer to one; answers exist."""
    named = {each for ids in (*MERGED.values(), *SPLIT.values()) for each in ids}
    assert named <= set(ENTRIES)
    assert set(SPLIT) <= set(ENTRIES)
    assert set(ENTRIES) == {validator.spec.id for validator in forebay_validators.plugin.validators}
    assert set(ENTRIES) - set(CATALOGUE) <= named


def test_each_docstring_tells() -> None:
    """Every docstring says in one sentence what is done to what, then why, and ends with bytes that show it."""
    for entry in ENTRIES.values():
        assert entry.summary.split()[0] == VERBS[entry.actions["protect"].partition("/")[0]], entry.id
        if entry.author:
            assert f"{VERBS[entry.author['protect']].lower()} it in From and Sender" in entry.summary.replace(
                "them", "it"
            )
        assert entry.doc.partition("\n\n")[2], entry.id
        assert "`" in shown_bytes(entry), entry.id
        assert entry.rfc, entry.id


def test_examples() -> None:
    """Every example, good and bad, is run through the real runner, and gets the action that it states."""
    run_examples(forebay_validators.plugin)


def test_each_kind_is_found() -> None:
    """Every defect of the interface is found in some bad example, and some validator answers for it and each measure."""
    validators = forebay_validators.plugin.validators
    answered = {kind for each in validators if issubclass(each, DefectValidator) for kind in each.defects}
    assert answered == set(DEFECTS)
    assert {each.measure for each in validators if issubclass(each, BudgetValidator)} == set(MEASURES)
    runner = Runner([reporter(kind) for kind in DEFECTS], Config())
    messages = [cut(example) for each in validators for example in each.spec.bad for cut in (Message.of, Message.cut)]
    assert {found.id for message in messages for found in runner.run(message)} == {f"found-{kind}" for kind in DEFECTS}


def reporter(kind: str) -> type[DefectValidator]:
    """A validator that finds one defect."""

    @validator(id=f"found-{kind}", rfc="")
    class Reporter(DefectValidator):
        """Tags one defect."""

        defects = (kind,)

    return Reporter


def test_tables_stand_in_the_guide() -> None:
    """The catalogue in plugins/README.md is what the validators say of themselves today."""
    tables = "\n".join(lines())
    text = GUIDE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    written, _, after = rest.partition(END)
    if os.environ.get("FOREBAY_WRITE"):
        GUIDE.write_text(f"{before}{BEGIN}\n{tables}\n\n{END}{after}", encoding="utf-8")
        written = f"\n{tables}\n\n"
    assert written == f"\n{tables}\n\n"


def lines() -> Iterator[str]:
    """The tables, as Markdown: the validators by concern, then the ids of the catalogue that are not validators."""
    for module in forebay_validators.CONCERNS:
        title = (inspect.getdoc(module) or "").partition("\n\n")[0].replace("\n", " ").removesuffix(".")
        yield f"### {title}\n"
        yield "| id | what it does | RFC | `protect` | `strict` | from `<>` | options | bytes |"
        yield "|---|---|---|---|---|---|---|---|"
        yield from (row(each) for each in ENTRIES.values() if each.cls.__module__ == module.__name__)
        yield ""
    yield "### Ids of the catalogue that became several validators, or part of another\n"
    yield "| id | answered by |"
    yield "|---|---|"
    yield from (f"| `{each}` | {codes(ids)} |" for each, ids in sorted(MERGED.items()))
    yield from (f"| `{each}` | {codes((each, *ids))} |" for each, ids in sorted(SPLIT.items()))
    yield "\n### Ids of the catalogue that were left out\n"
    yield "| id | why |"
    yield "|---|---|"
    yield from (f"| `{each}` | {reason} |" for each, reason in sorted(LEFT_OUT.items()))


def row(entry: Entry) -> str:
    """One validator as a row."""
    options = ", ".join(f"`{each.name} = {each.default!r}`" for each in entry.options if each.default != 0)
    cells = (
        f"`{entry.id}`", entry.summary, entry.rfc, preset(entry, "protect"), preset(entry, "strict"),
        entry.null_sender or "", options, shown_bytes(entry).removesuffix("."),
    )  # fmt: skip
    return f"| {' | '.join(each.replace('|', chr(92) + '|') for each in cells)} |"


def preset(entry: Entry, name: str) -> str:
    """What a validator does under a preset, in From and Sender too where that differs."""
    usual = entry.actions[name]
    author = entry.author[name] if entry.author else usual
    return usual if author == usual else f"{usual}; From, Sender: {author}"


def shown_bytes(entry: Entry) -> str:
    """The bytes that a docstring shows, in one line."""
    found = _BYTES.search(entry.doc)
    return " ".join(found[1].split()) if found else ""


def codes(ids: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"`{each}`" for each in ids)
