"""`forebay validators` and the catalogue that it and the documentation are written from."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from forebay.api import BudgetValidator
from forebay.cli.examples import findings
from forebay.cli.validators import explain
from forebay.config import Config, Policy
from forebay.judge.catalogue import PRESETS, Entry, catalogue
from forebay.judge.discovery import discover
from forebay.smtp import statusfile

if TYPE_CHECKING:
    from pathlib import Path

    from unit.cli.conftest import Forebay

WORDS = {"accept", "tag", "quarantine", "reject", "off"}

LOCAL = '''
from forebay.api import QUARANTINE, TAG, ACCEPT, FieldValidator, Plugin, validator

@validator(id="words", rfc="RFC 5322 2.2", fields=("x-words",), action=TAG, author_action=QUARANTINE,
           null_sender=ACCEPT, good=[b"X-Words: fine"], bad=[b"X-Words: bad \\x1b"])
class Words(FieldValidator):
    """Tags bad words.

    They are bad.
    """

    words: tuple[str, ...] = ("bad",)
    """What is looked for,
    in lower case."""
    most: int = 3

    def check(self, field):
        at = field.value.find(b"bad")
        if at >= 0:
            yield self.find("a bad word", field, at, at + 3)

plugin = Plugin(name="words", api=1, validators=(Words,))
'''


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A configuration with a plugin of its own, and a directory for the milter's state."""
    plugins = tmp_path / "plugins"
    plugins.mkdir(mode=0o755)
    (plugins / "words.py").write_text(LOCAL)
    path = tmp_path / "local.toml"
    path.write_text(f'[plugins]\ndirectory = "{plugins}"\n[milter]\nruntime = "{tmp_path}"\n')
    return path


@pytest.fixture(scope="module")
def rows() -> list[Entry]:
    """What is known of those that forebay brings along."""
    return catalogue()


def test_every_validator_is_in_the_catalogue_with_all_that_is_known(rows: list[Entry]) -> None:
    """By id, each with words of the policy for each preset, and with examples."""
    assert [each.id for each in rows] == [each.id for each in discover()[0]]
    for row in rows:
        assert set(row.actions) == set(PRESETS)
        assert row.actions["observe"] == "accept"
        for actions in (row.actions, row.author or {}):
            assert all(set(word.split("/")) <= WORDS for word in actions.values())
        assert row.summary
        assert row.doc.startswith(row.summary.split()[0])
        assert row.good
        assert row.bad
        assert row.enabled
        assert row.effective == row.actions["protect"]


def test_the_levels_of_a_budget_are_its_actions() -> None:
    """And each level is an option that says what it is for."""
    (row,) = [each for each in catalogue() if each.id == "address-count"]
    assert row.actions["protect"] == "tag/quarantine/reject"
    assert [(each.name, each.default) for each in row.options] == [
        ("tag_above", 200), ("quarantine_above", 1000), ("reject_above", 5000),
    ]  # fmt: skip
    assert row.options[0].type == "whole number, at least 0"
    assert row.options[0].doc == "tag above so many addresses; 0 for never"


def test_differences_are_stated_only_where_there_are_any() -> None:
    """In From and Sender, and for the null sender."""
    rows = {each.id: each for each in catalogue()}
    empty = rows["address-empty-angle"]
    assert empty.author == {"observe": "accept", "protect": "quarantine", "strict": "quarantine"}
    assert empty.null_sender == "tag"
    assert (rows["nul-byte"].author, rows["nul-byte"].null_sender) == (None, None)


def test_the_configuration_is_in_effect() -> None:
    """The preset, an action that was set, a level that was switched off, a validator that was."""
    config = Config(
        policy=Policy(preset="strict", actions={"address-*": "tag"}),
        validators={"nul-byte": {"enabled": False}, "comment-nesting-depth": {"tag_above": 0}},
    )
    rows = {each.id: each for each in catalogue(config)}
    assert rows["address-unbalanced-angle"].effective == "tag"
    assert (rows["nul-byte"].effective, rows["nul-byte"].enabled) == ("off", False)
    assert rows["comment-nesting-depth"].effective == "reject"
    assert rows["header-missing-date"].effective == "reject"
    observed = catalogue(Config(policy=Policy(preset="observe")))
    assert {each.effective for each in observed} == {"accept"}


def test_every_bad_example_has_a_finding_to_show(rows: list[Entry]) -> None:
    """What the documentation shows is what the validator finds."""
    for entry in rows:
        for example in entry.bad:
            found, _ = findings(entry.cls, example)
            assert found
            assert found[0].id == entry.id
            assert "more than" in found[0].message or not issubclass(entry.cls, BudgetValidator)


def test_the_list_names_all(forebay: Forebay) -> None:
    """One a line, with its group, its action and its plugin."""
    ran = forebay("validators", "list")
    assert (ran.status, ran.err) == (os.EX_OK, "")
    heading, *rows = ran.out.splitlines()
    assert heading.split() == ["ID", "GROUP", "ACTION", "PLUGIN"]
    assert [each.split()[0] for each in rows] == [each.id for each in discover()[0]]
    assert "address-unbalanced-angle                address    reject " in ran.out


def test_the_list_as_json(forebay: Forebay, local: Path) -> None:
    """One object a line; third-party ones among them."""
    found = {each["id"]: each for each in forebay("validators", "list", "--json", "--config", local).objects}
    words = found["words"]
    assert words["origin"].endswith("/words.py")
    del words["origin"]
    assert words == {
        "id": "words",
        "plugin": "words",
        "builtin": False,
        "group": "hygiene",
        "summary": "Tags bad words.",
        "rfc": "RFC 5322 2.2",
        "fields": ["x-words"],
        "actions": {"observe": "accept", "protect": "tag", "strict": "tag"},
        "author": {"observe": "accept", "protect": "quarantine", "strict": "quarantine"},
        "null_sender": "accept",
        "options": [
            {
                "name": "words",
                "type": "list of strings",
                "default": ["bad"],
                "doc": "What is looked for, in lower case.",
            },
            {"name": "most", "type": "whole number", "default": 3, "doc": ""},
        ],
        "enabled": True,
        "action": "tag",
        "author_action": "quarantine",
    }


def test_one_is_explained(forebay: Forebay, local: Path) -> None:
    """Everything about it, with examples as they are found."""
    ran = forebay("validators", "show", "words", "--config", local)
    assert (ran.status, ran.err) == (os.EX_OK, "")
    assert "\x1b" not in ran.out
    for line in (
        "Tags bad words.",
        "They are bad.",
        "See RFC 5322 2.2.",
        "Looks at: x-words.",
        "Action              accept   tag         tag",
        "in From and Sender  accept   quarantine  quarantine",
        "from <>, at most    accept   accept      accept",
        "Under this configuration: tag (quarantine in From, Sender).",
        "Options, in [validators.words]:",
        '  words = ["bad"]   list of strings: What is looked for, in lower case.',
        "  X-Words: fine",
        r"  X-Words: bad \x1b",
        "  tag: X-Words: a bad word (words)",
        r"     1 | X-Words: bad \x1b",
        "       |          ^~~",
    ):
        assert line in ran.out.splitlines()


def test_each_can_be_explained(rows: list[Entry]) -> None:
    """In lines of text, without a byte that a terminal would obey."""
    for entry in rows:
        page = list(explain(entry, None, coloured=False))
        assert page[0] == entry.id
        assert all(line.isprintable() for text in page for line in text.split("\n"))
        assert page.count("Bad:") == len(entry.bad)


def test_one_is_explained_as_json(forebay: Forebay) -> None:
    """With each bad example goes its finding."""
    (shown,) = forebay("validators", "show", "nul-byte", "--json").objects
    assert shown["doc"].startswith(shown["summary"])
    assert shown["bad"][0]["header"] == r"From: a\x00b@example.org"
    assert shown["bad"][0]["finding"] == {
        "id": "nul-byte", "field": "From", "field_index": 0, "start": 2, "end": 3,
        "message": "NUL byte at byte 3", "action": "reject",
    }  # fmt: skip


def test_an_unknown_one_is_told_with_the_nearest(forebay: Forebay) -> None:
    """One line, status 64."""
    ran = forebay("validators", "show", "nul-bytes")
    assert (ran.status, ran.out) == (os.EX_USAGE, "")
    assert ran.err == "forebay: nul-bytes: no validator of that name; did you mean nul-byte?\n"
    assert "`forebay validators list` shows them all" in forebay("validators", "show", "\x1b[1m").err


def test_what_is_wrong_is_told_after_what_is_right(forebay: Forebay, local: Path, tmp_path: Path) -> None:
    """A broken plugin and a wrong option hide no validator; status 78."""
    (tmp_path / "plugins" / "broken.py").write_text("raise ValueError('x')\n")
    local.write_text(local.read_text() + "[validators.words]\nmost = 'x'\n")
    ran = forebay("validators", "list", "--config", local)
    assert ran.status == os.EX_CONFIG
    assert "words " in ran.out
    assert len(ran.err.splitlines()) == 2


def test_the_state_of_a_running_milter_is_told(forebay: Forebay, local: Path, tmp_path: Path) -> None:
    """What its file says of errors, hangs and who is benched: while it lives, and whatever the file holds."""
    said = {"words": {"errors": 1200, "hangs": 1, "benched": True}, "nul-byte": {"errors": "x"}, "other": 3}
    (tmp_path / statusfile.NAME).write_text(json.dumps({"validators": said}))
    assert "STATE" not in forebay("validators", "list", "--config", local).out
    lock = statusfile.lock(tmp_path)
    try:
        listed = forebay("validators", "list", "--config", local).out.splitlines()
        assert next(each for each in listed if each.startswith("words ")).endswith("benched, 1,200 errors, 1 hangs")
        assert next(each for each in listed if each.startswith("nul-byte ")).endswith("ok")
        (shown,) = forebay("validators", "show", "words", "--json", "--config", local).objects
        assert (shown["errors"], shown["hangs"], shown["benched"]) == (1200, 1, True)
        assert "In the running milter: benched" in forebay("validators", "show", "words", "--config", local).out
        for content in ("[]", "{}", '{"validators": 3}', "nonsense"):
            (tmp_path / statusfile.NAME).write_text(content)
            assert forebay("validators", "list", "--config", local).status == os.EX_OK
    finally:
        os.close(lock)
