"""The tables of settings and metrics are written from the program. FOREBAY_WRITE=1 writes them anew."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from forebay import config as configuration
from forebay import errors, metrics, metrics_router
from forebay.api import GROUPS, Action
from forebay.api.router import Confidence
from forebay.cli import toml_text
from forebay.cli.main import CUT_OFF, INTERRUPTED
from forebay.config import Config
from forebay.judge.options import options_model
from forebay.judge.policy import ACTIONS
from forebay.judge.verdict import Verdict
from forebay.message.envelope import Envelope
from forebay.message.finding import Finding
from forebay.sidecar.metering import CAUSES
from forebay.sidecar.verdict import STRIKES
from forebay.sidecar.verdict import Verdict as Ending
from forebay.smtp.reload import STAYS
from forebay.smtp.verdict_line import verdict_event
from forebay_validators import plugin
from unit.docs.documents import REFERENCE, cells, names_in, section, written

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forebay.metrics_spec import Spec

OF_THIS_HOST: Final = {
    "milter.socket_group": "`postfix` where it exists",
    "milter.hostname": "the host's name",
}
"""Defaults that are not the same everywhere."""

SECTIONS: Final = {
    "milter": "Milter",
    "policy": "Policy",
    "policy.exempt": "Exempt",
    "plugins": "Plugins",
    "router": "Router",
    "router.limits": "RouterLimits",
    "sidecar": "Sidecar",
    "store": "Store",
    "quarantine": "Quarantine",
    "fingerprints": "Fingerprints",
    "log": "Log",
}


def settings() -> str:
    """The settings of every section, as Markdown."""
    places = configuration.settings(Config())
    schema = configuration.schema()["$defs"]
    parts = []
    for section_name, title in SECTIONS.items():
        definition = schema[title]
        lines = [f"### `[{section_name}]`", "", definition.get("description", ""), ""]
        lines += ["| setting | default | | meaning |", "|---|---|---|---|"]
        for name, told in definition["properties"].items():
            place = f"{section_name}.{name}"
            if place in places:
                stays = "restart" if section_name == "milter" and name in STAYS else ""
                lines.append(f"| `{name}` | {default(place, places[place])} | {stays} | {told['description']} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def default(place: str, value: object) -> str:
    """A default as the file would have it; an empty one is left out."""
    if place in OF_THIS_HOST:
        return OF_THIS_HOST[place]
    if place == "milter.socket_mode":
        return f'`"{value:04o}"`'
    return f"`{toml_text.value(value)}`" if value not in ("", (), {}) else ""


def measured(specs: Iterable[Spec]) -> str:
    """Metrics, as Markdown."""
    rows = "".join(
        f"| `{each.name}` | {each.kind} | {', '.join(f'`{label}`' for label in each.labels)} | {each.help} |\n"
        for each in specs
    )
    return f"| metric | kind | label | meaning |\n|---|---|---|---|\n{rows}"


def test_the_settings_are_those_that_exist() -> None:
    """Every setting stands in the reference with its default, its meaning, and whether it needs a restart."""
    stands, has_to_be = written(REFERENCE, "settings", settings())
    assert stands == has_to_be
    told = {
        f"{part}.{name}"
        for part in SECTIONS
        for name in names_in("".join(cells(section(REFERENCE, f"### `[{part}]`"))))
    }
    assert told >= set(configuration.settings(Config()))


def test_every_setting_has_a_meaning() -> None:
    """The docstrings are the documentation."""
    schema = configuration.schema()["$defs"]
    silent = [
        f"{part}.{name}"
        for part, title in SECTIONS.items()
        for name, told in schema[title]["properties"].items()
        if f"{part}.{name}" in configuration.settings(Config()) and not told.get("description", "").endswith(".")
    ]
    assert silent == []


def test_the_metrics_are_those_that_exist() -> None:
    """Every metric stands in the reference with its label and its meaning."""
    for name, specs in (("metrics", metrics.ALL), ("router-metrics", metrics_router.ALL)):
        stands, has_to_be = written(REFERENCE, name, measured(specs))
        assert stands == has_to_be


def test_the_labels_are_those_that_exist() -> None:
    """Every label is explained, and those with fixed values with all of them."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section(REFERENCE, "## Metrics and health"), re.MULTILINE))
    assert {label for each in metrics.ALL for label in each.labels} <= set(rows)
    assert set(names_in(rows["action"])) == {each.word for each in Action}
    assert set(names_in(rows["reason"])) - {"worker_memory"} == set(metrics.ENDS)
    assert set(names_in(rows["process"])) == set(metrics.HELPERS)
    assert metrics.OWN_CODE in names_in(rows["validator"])


def test_the_labels_of_the_sidecar_are_those_that_exist() -> None:
    """Every one is explained, with all values that it can have."""
    text = section(REFERENCE, "## The sidecar")
    rows = dict(re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (.*) \|$", text, re.MULTILINE))
    told = {name: set(names_in(values)) for names, values in rows.items() for name in names_in(names)}
    assert {label for each in metrics_router.ALL for label in each.labels} <= set(told)
    assert told["verdict"] == {each.value for each in Ending}
    assert told["event"] == set(metrics_router.EVENTS)
    assert told["kind"] == {*metrics_router.STALLS, *metrics_router.LIMITS}
    assert told["cause"] | {each.value for each in STRIKES} == set(CAUSES)
    assert told["confidence"] == {each.word for each in Confidence if each}


def test_the_reserved_options_are_those_that_exist() -> None:
    """What every validator has, with its default, stands in the section on the configuration."""
    model = options_model(plugin.validators[0]).model_fields
    told = dict(
        re.findall(
            r"^\| `(enabled|on_error|null_sender)` \|([^|]*)\|", section(REFERENCE, "## Configuration"), re.MULTILINE
        )
    )
    assert {name: names_in(text) for name, text in told.items()} == {
        "enabled": [toml_text.value(model["enabled"].default)],
        "on_error": [toml_text.value(model["on_error"].default)],
        "null_sender": [],
    }
    row = re.search(r"^\| `on_error`.*", section(REFERENCE, "## Configuration"), re.MULTILINE)
    assert row
    assert {'"tag"', '"skip"', '"tempfail"'} <= set(names_in(row[0]))


def test_the_actions_and_presets_are_those_that_exist() -> None:
    """The two tables of the section on verdicts, the actions in the order of their severity."""
    text = section(REFERENCE, "## Verdicts")
    first = names_in("\n".join(re.findall(r"^ *\| `(?=\w).*?` \|", text, re.MULTILINE)))
    presets = configuration.schema()["$defs"]["Policy"]["properties"]["preset"]["enum"]
    assert [each for each in first if each in presets] == presets
    words = [each.word for each in sorted(Action)]
    assert [each for each in first if each in words] == words
    assert {each.word for each in ACTIONS} == set(words) - {"tempfail"}


def test_the_groups_are_those_that_exist() -> None:
    """The table of groups, and what exemptions soften."""
    told = [each for each in names_in("\n".join(cells(section(REFERENCE, "## Verdicts")))) if each in GROUPS]
    assert sorted(told) == sorted(GROUPS)


def test_the_members_of_a_logged_verdict_are_those_that_exist() -> None:
    """The table of JSON members is complete, and has nothing else."""
    finding = Finding("nul-byte", b"To", 0, 0, 1, "a NUL", Action.REJECT)
    whole = verdict_event(Verdict(Action.ACCEPT, Action.REJECT, (finding,), ("odd",)), Envelope(b"<>"), "4fX1T6x")
    told = names_in("".join(row for row in cells(section(REFERENCE, "## Log"))))
    sidecars = {"event", "strikes", "entry", "cause", "confidence", "path", "bytes"}  # its own tests look at these
    assert set(told) == {"time", "level", "pid", "message", *whole, *sidecars}


def test_the_exit_statuses_are_those_that_exist() -> None:
    """Every status that a command can end with is explained, and no other."""
    known = {
        each.exit_code
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.ForebayError)
    }
    told = {int(each) for each in cells(section(REFERENCE, "## Exit statuses"))}
    assert told == known | {0, 1, 75, INTERRUPTED, CUT_OFF}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("up to 1,024 of them", "forebay.smtp.listener:BACKLOG"),
        ("| 1,024, or `net.core.somaxconn`", "forebay.smtp.listener:BACKLOG"),
        ("draining ones included | 512 |", "forebay.smtp.page:SLOTS"),
        ("| 256 | not looked at |", "forebay.judge.guard:MOST_FINDINGS"),
        ("| 512 bytes | cut |", "forebay.judge.wording:MOST_REPLY"),
        ("After 12 ids", "forebay.judge.wording:MOST_IDS"),
        ("the last 1,000 of them", "forebay.smtp.remembered:MOST"),
        ("at most after 10 seconds", "forebay.smtp.crew:LONGEST_DELAY"),
        ("after six times `hang_time`", "forebay.smtp.watchdog:CLOCK_FACTOR"),
        ("for two\nseconds at most", "forebay.smtp.supervisor:BACKLOG_TIME"),
        ("five times within a minute are benched for five minutes", "forebay.judge.breaker:OVERRUNS"),
        ("more than 2,000\nbytes", "forebay.logs:_LINE_BYTES"),
        ("| 1 MiB | the connection", "forebay.smtp.libmilter:LONGEST_COMMAND"),
    ],
)
def test_numbers_are_those_of_the_program(text: str, number: str) -> None:
    """A limit that is told is the limit that holds."""
    module, _, attribute = number.partition(":")
    value = vars(__import__(module, fromlist=[attribute]))[attribute]
    assert text in REFERENCE.read_text("utf-8")
    words = {6: "six", 2.0: "two", 5: "five", 1 << 20: "1 MiB"}
    assert words.get(value, f"{value:,.0f}") in text
