"""From a configuration file to a judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from forebay.api import ACCEPT, REJECT
from forebay.config import Config
from forebay.errors import ConfigError
from forebay.judge.load import compile_judge, load, load_judge
from forebay.message.envelope import Envelope

if TYPE_CHECKING:
    from pathlib import Path

EVIL = ((b"From", b" a@example.org"), (b"To", b" <a@example.org"))


def test_the_default_configuration_makes_a_judge() -> None:
    """Every setting has a default, and all validators are on."""
    judge = load_judge(Config())
    assert len(judge.ids) > 100
    assert judge.judge(EVIL, Envelope()).action is REJECT
    assert judge.needs_body
    assert judge.benched == ()


def write(path: Path, text: str) -> str:
    file = path / "forebay.toml"
    file.write_text(text)
    return str(file)


def test_a_file_is_loaded_with_its_judge(tmp_path: Path) -> None:
    """The judge has the policy of the file, unless another preset is asked for."""
    path = write(tmp_path, '[policy]\npreset = "observe"\n[validators.address-unbalanced-angle]\nenabled = false\n')
    config, judge = load(path)
    assert config.policy.preset == "observe"
    assert judge.judge(EVIL, Envelope()).action is ACCEPT
    assert "address-unbalanced-angle" not in judge.ids
    assert load(path, "strict")[1].judge((*EVIL[1:], EVIL[1]), Envelope()).action is REJECT


def test_all_mistakes_of_file_options_policy_and_plugins_are_told_at_once(tmp_path: Path) -> None:
    """Each with its place, so that an operator corrects the file once."""
    path = write(
        tmp_path,
        "\n".join((
            "[milter]",
            "workers = -1",
            "[policy.actions]",
            'date-obsolet = "tag"',
            "[validators.address-count]",
            "reject_above = -1",
            "[validators.no-such]",
            "[plugins]",
            f'directory = "{tmp_path}/none"',
        )),
    )  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        load(path)
    places = {each.place for each in caught.value.mistakes}
    assert places >= {
        "milter.workers",
        "policy.actions.date-obsolet",
        "validators.address-count.reject_above",
        "validators.no-such",
        "plugins.directory",
    }
    assert all(line.startswith(path) for line in str(caught.value).splitlines())


def test_what_can_be_understood_is_compiled_all_the_same() -> None:
    """A mistake in one validator's options takes that one out, and is told."""
    judge, mistakes = compile_judge(Config(validators={"dot-run": {"reject_above": "x"}}))
    assert [each.place for each in mistakes] == ["validators.dot-run.reject_above"]
    assert "dot-run" not in judge.ids
    assert len(judge.ids) > 100
    with pytest.raises(ConfigError):
        load_judge(Config(validators={"dot-run": {"reject_above": "x"}}))
