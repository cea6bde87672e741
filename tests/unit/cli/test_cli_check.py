"""`forebay check`: verdicts, exit statuses, what is shown."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from unit.cli.conftest import Forebay

GOOD = b"From: a@example.org\nTo: b@example.org\nDate: Thu, 22 Aug 2002 12:36:23 +0000\nMessage-ID: <1@example.org>\n"


def test_a_good_message_is_only_counted(forebay: Forebay, good: Path) -> None:
    """Nothing found, nothing shown but the sum, status 0."""
    ran = forebay("check", good)
    assert (ran.status, ran.out, ran.err) == (os.EX_OK, "1 message: 1 accepted\n", "")


def test_an_evil_message_is_marked_as_a_compiler_marks(forebay: Forebay, evil: Path) -> None:
    """The finding, the line, and a caret below the byte; status 1."""
    ran = forebay("check", evil)
    assert ran.status == 1
    assert ran.out == (
        f"{evil}: reject\n"
        '  reject: To: unbalanced "<" at byte 8 (address-unbalanced-angle)\n'
        '     2 | To: "a b" <foo@example.org\n'
        "       |           ^\n"
        "\n"
        "1 message: 1 rejected\n"
    )


def test_json_is_one_object_a_message(forebay: Forebay, good: Path, evil: Path) -> None:
    """The keys are those that are documented, and no others."""
    ran = forebay("check", "--json", good, evil)
    assert ran.status == 1
    assert ran.objects == [
        {"path": str(good), "index": 0, "action": "accept", "findings": []},
        {
            "path": str(evil),
            "index": 0,
            "action": "reject",
            "findings": [
                {
                    "id": "address-unbalanced-angle",
                    "field": "To",
                    "field_index": 1,
                    "start": 7,
                    "end": 8,
                    "message": 'unbalanced "<" at byte 8',
                    "action": "reject",
                }
            ],
        },
    ]


def test_observe_refuses_nothing_and_tells_what_it_would(forebay: Forebay, evil: Path) -> None:
    """Accepted, status 0, and what would have been done is said."""
    ran = forebay("check", "--preset", "observe", evil)
    assert ran.status == os.EX_OK
    assert f"{evil}: accept (observe: would reject)\n" in ran.out
    assert "1 message: 1 rejected (observe: all accepted" in ran.out
    (found,) = forebay("check", "--json", "--preset", "observe", evil).objects
    assert (found["action"], found["would"]) == ("accept", "reject")


def test_the_preset_of_the_configuration_holds_and_the_option_goes_before_it(
    forebay: Forebay, evil: Path, tmp_path: Path
) -> None:
    """`--preset` is stronger than `[policy] preset`."""
    config = tmp_path / "observe.toml"
    config.write_text('[policy]\npreset = "observe"\n')
    assert forebay("check", "--config", config, evil).status == os.EX_OK
    assert forebay("check", "--config", config, "--preset", "protect", evil).status == 1


def test_actions_of_the_configuration_hold(forebay: Forebay, evil: Path, tmp_path: Path) -> None:
    """What `[policy.actions]` says is what happens."""
    config = tmp_path / "tag.toml"
    config.write_text('[policy.actions]\naddress-unbalanced-angle = "tag"\n')
    ran = forebay("check", "--config", config, "--json", evil)
    assert (ran.status, ran.objects[0]["action"]) == (os.EX_OK, "tag")


@pytest.mark.parametrize("sender", ["<>", ""])
def test_the_null_sender_has_its_own_profile(forebay: Forebay, tmp_path: Path, sender: str) -> None:
    """A message without From is rejected, but only tagged if it is a bounce."""
    path = tmp_path / "bounce.eml"
    path.write_bytes(GOOD.replace(b"From: a@example.org\n", b"") + b"\n")
    (usual,) = forebay("check", "--json", path).objects
    (bounce,) = forebay("check", "--json", "--sender", sender, path).objects
    assert (usual["action"], bounce["action"]) == ("reject", "tag")


def test_a_message_names_its_sender_by_return_path(forebay: Forebay, tmp_path: Path) -> None:
    """Without --sender a Return-Path is believed, and it is no field of what the milter gets."""
    path = tmp_path / "bounce.eml"
    path.write_bytes(b"Return-Path: <>\nBcc: x@example.org\n" + GOOD.replace(b"From: a", b"From: <a") + b"\n")
    (found,) = forebay("check", "--json", path).objects
    assert [each["field_index"] for each in found["findings"]] == [0]
    (named,) = forebay("check", "--json", "--sender", "a@example.org", path).objects
    assert [each["field_index"] for each in named["findings"]] == [0]


def test_the_envelope_is_judged_and_marked(forebay: Forebay, good: Path) -> None:
    """A finding in MAIL FROM or RCPT TO shows the path; brackets are added where they were left out."""
    ran = forebay("check", "--sender", "a@b@c", "--recipient", '"x@example.org', good)
    assert ran.status == 1
    assert "MAIL FROM: " in ran.out
    assert "       | <a@b@c>\n" in ran.out
    assert '       | <"x@example.org>\n       |  ^' in ran.out


def test_hostile_bytes_never_reach_the_terminal(forebay: Forebay, tmp_path: Path) -> None:
    """Neither those of the message nor those of its name, in words or in JSON."""
    path = tmp_path / "na\x1b[31mme\udcff.eml"
    path.write_bytes(b"Subj\x1bect: \x1b]0;title\x07 \xff\x00\x9b\r x\nTo: <\x1b[2J@\xc3\xa9\\\t\n" + GOOD + b"\n")
    for arguments in (("check", path), ("check", "--json", path), ("check", tmp_path / "\x1b[31m")):
        ran = forebay(*arguments)
        assert (ran.out + ran.err).isascii()
        assert (ran.out + ran.err).replace("\n", "").isprintable()
    assert r"\x1b]0;title\x07" in forebay("check", path).out


def test_what_cannot_be_read_costs_one_line_and_not_the_rest(
    forebay: Forebay, good: Path, evil: Path, tmp_path: Path
) -> None:
    """Each with its place; the others are judged; the status is that of the first mistake."""
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    prose = tmp_path / "prose"
    prose.write_bytes(b"Dear reader\n\nSubject: this is no header\n")
    noise = tmp_path / "noise"
    noise.write_bytes(bytes(range(256)) * 1000)
    ran = forebay("check", good, tmp_path / "missing", empty, prose, noise, evil)
    assert ran.status == os.EX_NOINPUT
    assert ran.err.splitlines() == [
        f"forebay: {tmp_path / 'missing'}: No such file or directory",
        f"forebay: {empty}: not a message: nothing in it",
        f"forebay: {prose}: not a message: no header field at its beginning",
        f"forebay: {noise}: not a message: no header field at its beginning",
    ]
    assert ran.out.endswith("2 messages: 1 accepted, 1 rejected\n")
    assert forebay("check", prose).status == os.EX_DATAERR


def test_no_right_to_read_is_told(forebay: Forebay, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, and the status that says so."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    ran = forebay("check", good)
    assert (ran.status, ran.err) == (os.EX_NOPERM, f"forebay: {good}: Permission denied\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check",), "Missing argument 'PATH...'"),
        (("check", "--preset", "loose", "x"), "'loose' is not one of"),
        (("check", "--colour", "x"), "No such option"),
        (("chekc", "x"), "No such command"),
    ],
)
def test_a_wrong_command_line_is_told_with_a_remedy(forebay: Forebay, arguments: tuple[str, ...], said: str) -> None:
    """What is wrong, where help is, and status 64."""
    ran = forebay(*arguments)
    assert (ran.status, ran.out) == (os.EX_USAGE, "")
    assert said in ran.err
    assert "--help" in ran.err


def test_a_wrong_configuration_is_told_with_all_mistakes(forebay: Forebay, good: Path, tmp_path: Path) -> None:
    """Nothing is judged by half a configuration."""
    config = tmp_path / "bad.toml"
    config.write_text('[milter]\nworkers = "x"\n[validators.nosuch]\n')
    ran = forebay("check", "--config", config, good)
    assert (ran.status, ran.out) == (os.EX_CONFIG, "")
    assert len(ran.err.splitlines()) == 2


def test_a_message_on_standard_input(forebay: Forebay, evil: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` names it."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(evil.read_bytes())))
    ran = forebay("check", "-")
    assert ran.status == 1
    assert ran.out.startswith("-: reject\n")


def test_findings_that_are_many_are_cut(forebay: Forebay, tmp_path: Path) -> None:
    """A flood of findings is told as a number."""
    path = tmp_path / "many.eml"
    path.write_bytes(b"X-Bad: \x01\n" * 40 + GOOD + b"\n")
    ran = forebay("check", path)
    assert "  and 24 more findings (shown with --json)\n" in ran.out
    assert len(forebay("check", "--json", path).objects[0]["findings"]) == 40


def test_a_validator_that_fails_is_named_once(forebay: Forebay, good: Path, tmp_path: Path) -> None:
    """Its failure costs no message, and is told on standard error."""
    plugins = tmp_path / "plugins"
    plugins.mkdir(mode=0o755)
    (plugins / "fails.py").write_text(
        "from forebay.api import FieldValidator, Plugin, validator\n"
        "@validator(id='fails', rfc='', good=[b'A: b'], bad=[b'A: b'])\n"
        "class Fails(FieldValidator):\n"
        "    'Fails.'\n"
        "    def check(self, field):\n"
        "        raise LookupError('bo\\x1b\\nom')\n"
        "plugin = Plugin(name='fails', api=1, validators=(Fails,))\n"
    )
    config = tmp_path / "local.toml"
    config.write_text(f'[plugins]\ndirectory = "{plugins}"\n')
    ran = forebay("check", "--config", config, good, good)
    assert ran.status == os.EX_OK
    assert ran.err == f"forebay: {good}: validator fails failed: LookupError: bo\\x1b om\n"
    assert ran.out.count("this check failed (fails)") == 2


def test_the_program_itself(good: Path, evil: Path, tmp_path: Path) -> None:
    """As a process: status, no colour into a pipe, and no complaint where the reader goes away early."""
    environment = os.environ | {"FOREBAY_CONFIG": str(tmp_path / "none.toml")}
    (tmp_path / "none.toml").write_bytes(b"")
    command = [sys.executable, "-m", "forebay.cli", "check"]
    ran = subprocess.run([*command, good, evil], capture_output=True, env=environment, check=False, timeout=60)
    assert ran.returncode == 1
    assert b"\x1b" not in ran.stdout + ran.stderr
    with subprocess.Popen(
        [*command, *[str(evil)] * 3000], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


def test_a_full_disk_is_no_bug(evil: Path, tmp_path: Path) -> None:
    """One line and status 74, no traceback."""
    (tmp_path / "none.toml").write_bytes(b"")
    environment = os.environ | {"FOREBAY_CONFIG": str(tmp_path / "none.toml")}
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "forebay.cli", "check", evil],
            stdout=full, stderr=subprocess.PIPE, env=environment, check=False, timeout=60,
        )  # fmt: skip
    assert ran.returncode == os.EX_IOERR
    assert ran.stderr == b"forebay: the output cannot be written: No space left on device\n"
