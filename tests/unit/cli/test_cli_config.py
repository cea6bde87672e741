"""`forebay config`: mistakes all at once, settings as TOML, the schema."""

from __future__ import annotations

import json
import os
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay import config as configuration
from forebay.cli import toml_text

if TYPE_CHECKING:
    from pathlib import Path

    from unit.cli.conftest import Forebay

ALL = """
[milter]
listen = "inet:8891@127.0.0.1"
workers = 3
socket_mode = "0600"
worker_memory = "64M"
reply_url = 'https://example.org/"why"'

[policy]
preset = "strict"

[policy.actions]
"address-*" = "tag"
nul-byte = "quarantine"

[policy.exempt]
networks = ["192.0.2.0/24", "2001:db8::/32"]
recipients = ["@example.org"]

[validators.address-count]
tag_above = 7
null_sender = "accept"

[validators.nul-byte]
enabled = false

[log]
format = "json"
"""

WRONG = """
[milter]
workers = "three"
lisen = "unix:/x"
listen = "/run/x.sock"
[policy]
preset = "loose"
[policy.actions]
adress-count = "tag"
[validators.address-count]
tag_above = -1
tag_over = 3
[validators.nosuch]
"""


@pytest.fixture
def everything(tmp_path: Path) -> Path:
    """A configuration in which every kind of value is set."""
    path = tmp_path / "all.toml"
    path.write_text(ALL)
    return path


def test_a_good_configuration_is_summed_up(forebay: Forebay, everything: Path) -> None:
    """What was read, and what it makes forebay do."""
    ran = forebay("config", "check", "--config", everything)
    assert (ran.status, ran.err) == (os.EX_OK, "")
    first, second, third = ran.out.splitlines()
    assert first == f"{everything}: no mistakes"
    assert second.startswith("preset strict, ")
    assert third == "listens on inet:8891@127.0.0.1, metrics on 127.0.0.1:9891"


def test_all_mistakes_are_told_at_once(forebay: Forebay, tmp_path: Path) -> None:
    """Each in one line with its place and a remedy; status 78."""
    path = tmp_path / "wrong.toml"
    path.write_text(WRONG)
    ran = forebay("config", "check", "--config", path)
    assert (ran.status, ran.out) == (os.EX_CONFIG, "")
    assert sorted(ran.err.splitlines()) == sorted(
        f"forebay: {path}: {line}"
        for line in (
            "milter.workers: write a whole number (got 'three')",
            "milter.lisen: no such setting; did you mean listen?",
            """milter.listen: write "unix:/path/of/the/socket", "inet:PORT@HOST" or "inet6:PORT@HOST" (got '/run/x.sock')""",
            "policy.preset: write one of 'observe', 'protect' or 'strict' (got 'loose')",
            "policy.actions.adress-count: no validator of that name; did you mean address-count?",
            "validators.address-count.tag_above: must be at least 0 (got -1)",
            "validators.address-count.tag_over: no such setting; did you mean tag_above?",
            "validators.nosuch: no validator of that name",
        )
    )


@pytest.mark.parametrize("command", ["check", "show", "schema"])
@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (None, os.EX_NOINPUT, "no such file"),
        (b"[milter\n", os.EX_CONFIG, "not TOML"),
        (b"\xff", os.EX_CONFIG, "not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_understood_is_told_in_one_line(
    forebay: Forebay, tmp_path: Path, command: str, content: bytes | None, status: int, said: str
) -> None:
    """Whatever was to be done with it."""
    path = tmp_path / "some.toml"
    if content is not None:
        path.write_bytes(content)
    ran = forebay("config", command, "--config", path)
    assert (ran.status, ran.out) == (status, "")
    (line,) = ran.err.splitlines()
    assert line.startswith(f"forebay: {path}: ")
    assert said in line


def test_the_place_of_a_mistake_is_escaped(forebay: Forebay, tmp_path: Path) -> None:
    """A configuration that somebody else wrote cannot write to the terminal either."""
    path = tmp_path / "wrong.toml"
    path.write_text('"\\u001b[31m" = 1\n[log]\nlevel = "\\u001b[31m"\n')
    ran = forebay("config", "check", "--config", path)
    assert ran.status == os.EX_CONFIG
    assert "\x1b" not in ran.err


def test_what_is_shown_is_a_configuration_that_says_the_same(
    forebay: Forebay, everything: Path, tmp_path: Path
) -> None:
    """All of it or only what differs: read again, it comes to the same."""
    for options in ((), ("-n",)):
        shown = forebay("config", "show", "--config", everything, *options)
        assert shown.status == os.EX_OK
        again = tmp_path / "again.toml"
        again.write_text(shown.out)
        first, second = configuration.load(str(everything)), configuration.load(str(again))
        assert configuration.settings(first) == configuration.settings(second)
        assert forebay("config", "show", "--config", again).out == forebay("config", "show", "--config", everything).out


def test_only_what_differs_is_shown_on_demand(forebay: Forebay, everything: Path) -> None:
    """`-n` is what an administrator has changed."""
    shown = tomllib.loads(forebay("config", "show", "-n", "--config", everything).out)
    wanted = tomllib.loads(ALL)
    wanted["milter"]["worker_memory"] = 64 << 20
    assert shown == wanted
    assert forebay("config", "show", "-n").out == ""


def test_every_setting_is_shown(forebay: Forebay) -> None:
    """Those of the file's sections, and those of every validator."""
    shown = tomllib.loads(forebay("config", "show").out)
    for place in configuration.settings(configuration.Config()):
        if place == "policy.actions":
            continue
        here: Any = shown
        for part in place.split("."):
            here = here[part]
    assert shown["milter"]["socket_mode"] == "0660"
    assert shown["validators"]["address-count"] == {
        "enabled": True, "on_error": "tag", "tag_above": 200, "quarantine_above": 1000, "reject_above": 5000,
    }  # fmt: skip


def test_the_schema_has_every_setting(forebay: Forebay) -> None:
    """The options of each validator among them, each with its type; nothing that is no setting."""
    schema = json.loads(forebay("config", "schema").out)
    assert set(schema["properties"]) == {
        *(
            "milter",
            "policy",
            "validators",
            "plugins",
            "router",
            "sidecar",
            "store",
            "quarantine",
            "fingerprints",
            "log",
        ),
    }
    validators = schema["properties"]["validators"]
    assert validators["additionalProperties"] is False
    options = validators["properties"]["address-count"]["properties"]
    assert options["tag_above"] == {"default": 200, "minimum": 0, "title": "Tag Above", "type": "integer"}
    assert {"enabled", "on_error", "null_sender"} <= set(options)
    assert schema["$defs"]["Milter"]["properties"]["workers"]["description"]


def test_local_plugins_are_part_of_it(forebay: Forebay, tmp_path: Path) -> None:
    """Their options are checked, shown and in the schema; one that cannot be loaded is told."""
    plugins = tmp_path / "plugins"
    plugins.mkdir(mode=0o755)
    (plugins / "words.py").write_text(
        "from forebay.api import FieldValidator, Plugin, validator\n"
        "@validator(id='words', rfc='', good=[b'A: b'], bad=[b'A: b'])\n"
        "class Words(FieldValidator):\n"
        "    'Words.'\n"
        "    words: tuple[str, ...] = ('a', 'b\"')\n"
        "    def check(self, field):\n"
        "        return ()\n"
        "plugin = Plugin(name='words', api=1, validators=(Words,))\n"
    )
    path = tmp_path / "local.toml"
    path.write_text(f'[plugins]\ndirectory = "{plugins}"\n')
    assert "words (1)" in forebay("config", "check", "--config", path).out
    assert tomllib.loads(forebay("config", "show", "--config", path).out)["validators"]["words"]["words"] == ["a", 'b"']
    assert (
        "words"
        in json.loads(forebay("config", "schema", "--config", path).out)["properties"]["validators"]["properties"]
    )
    (plugins / "broken.py").write_text("1 / 0\n")
    for command in ("check", "show", "schema"):
        ran = forebay("config", command, "--config", path)
        assert ran.status == os.EX_CONFIG
        assert "broken" in ran.err
        assert "ZeroDivisionError" in ran.err


SCALARS = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()
NESTED = st.recursive(SCALARS, lambda each: st.lists(each) | st.dictionaries(st.text(), each), max_leaves=8)


@given(st.dictionaries(st.text(), NESTED))
def test_whatever_is_written_as_toml_is_read_as_the_same(settings: dict[str, object]) -> None:
    """Strings with anything in them, lists, tables, numbers."""
    assert tomllib.loads(toml_text.document([(("table",), settings)])) == ({"table": settings} if settings else {})
