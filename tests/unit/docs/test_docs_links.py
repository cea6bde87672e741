"""Links lead somewhere, blocks say their language, and names in the text are names that exist."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from forebay import config as configuration
from forebay import metrics, metrics_router
from forebay.cli.main import COMMANDS
from forebay.config import Config
from forebay_validators import plugin
from unit.docs.documents import ALL, OURS, README, REFERENCE, ROOT, anchors, blocks, links, name, names_in, prose

if TYPE_CHECKING:
    from pathlib import Path

IDS: Final = {each.spec.id for each in plugin.validators}


@pytest.mark.parametrize("path", ALL, ids=name)
def test_links_resolve(path: Path) -> None:
    """Files and headings that the documents point to are there."""
    for link in links(path):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        assert ROOT in target.parents, link
        if anchor:
            assert anchor in anchors(target), link


def test_every_document_can_be_reached() -> None:
    """From the first page, in one step."""
    reached = {(README.parent / link.partition("#")[0]).resolve() for link in links(README)}
    assert set(ALL) - {README} <= reached


@pytest.mark.parametrize("path", OURS, ids=name)
def test_every_section_stands_in_the_contents(path: Path) -> None:
    """The list at the top leads to every section."""
    sections = {anchor for anchor in anchors(path) if f"## {anchor}" in headings(path)}
    listed = {link.removeprefix("#") for link in links(path) if link.startswith("#")}
    assert sections <= listed


def headings(path: Path) -> set[str]:
    """The headings of the second level, as anchors."""
    found = re.findall(r"^(##) (.+)$", prose(path), re.MULTILINE)
    return {f"{level} {re.sub(r'[^a-z0-9 -]', '', title.lower()).replace(' ', '-')}" for level, title in found}


def test_every_block_says_its_language() -> None:
    """Only what is run or read by a test may stand in a block; `text` is what a person draws."""
    assert {each.language for each in blocks()} == {"cf", "console", "json", "log", "mc", "sh", "text", "toml"}


@pytest.mark.parametrize("path", OURS, ids=name)
def test_validators_that_are_named_exist(path: Path) -> None:
    """In the text, in configurations, in replies and log lines."""
    text = path.read_text("utf-8")
    named = set(re.findall(r"\(([a-z0-9]+(?:-[a-z0-9]+)+)\)$", text, re.MULTILINE))
    named |= set(re.findall(r": (?:reject|quarantine|tag|accept): ([a-z0-9-]+):", text))
    named |= {each for each in names_in(prose(path)) if re.fullmatch(r"(?:address|header|date|mbox)-[a-z0-9-]+", each)}
    assert named
    assert named <= IDS


@pytest.mark.parametrize("path", OURS, ids=name)
def test_metrics_that_are_named_exist(path: Path) -> None:
    """A name that is told is one that a dashboard can have."""
    known = {each.name for each in (*metrics.ALL, *metrics_router.ALL)}
    assert set(re.findall(r"forebay_[a-z_]+[a-z]", path.read_text("utf-8"))) - {"forebay_validators"} <= known


@pytest.mark.parametrize("path", OURS, ids=name)
def test_settings_that_are_named_exist(path: Path) -> None:
    """With their section in front, and in `name = value`."""
    places = set(configuration.settings(Config()))
    short = {each.rpartition(".")[2] for each in places} | {"enabled", "on_error", "null_sender"}
    told = names_in(prose(path))
    dotted = {each for each in told if re.fullmatch(r"(?:milter|policy|exempt|plugins|log)\.[a-z_]+", each)}
    assert dotted <= places | {each.removeprefix("policy.") for each in places}
    given = {each.partition(" = ")[0] for each in told if re.fullmatch(r'\w+ = ("[^"]*"|true|false|\d+)', each)}
    assert given <= short


def test_what_this_version_has_not_is_not_promised() -> None:
    """There is a command for everything that the text says can be done."""
    text = README.read_text("utf-8") + REFERENCE.read_text("utf-8")
    assert set(re.findall(r"`forebay ([a-z]+)", text)) <= set(COMMANDS)
