"""From a configuration to a judge: discover, check options, compile the policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forebay.judge.runner import Judge

if TYPE_CHECKING:
    from forebay.config import Config


def load_judge(config: Config) -> Judge:
    """The judge of this configuration. Raises ConfigError with every mistake in plugins, options and policy."""
    raise NotImplementedError
