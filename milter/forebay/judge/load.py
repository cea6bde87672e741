"""From a configuration to a judge: discover, check options, compile the policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forebay import config as configuration
from forebay.config_mistakes import dotted, nearest
from forebay.errors import ConfigError, Mistake
from forebay.judge.breaker import Breaker
from forebay.judge.discovery import Known, discover
from forebay.judge.guard import Enabled
from forebay.judge.options import Settings, configure
from forebay.judge.plan import make_plan
from forebay.judge.policy import Exemptions, compile_rule, overrides
from forebay.judge.runner import Judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forebay.config import Config
    from forebay.message.finding import Action


def load_judge(config: Config) -> Judge:
    """The judge of this configuration. Raises ConfigError with every mistake in plugins, options and policy."""
    judge, mistakes = compile_judge(config)
    if mistakes:
        raise ConfigError(config.source, mistakes)
    return judge


def load(path: str | None = None, preset: str | None = None) -> tuple[Config, Judge]:
    """The configuration at `path` and its judge, with another preset if one is given.

    Raises what `config.load` raises; a ConfigError has the mistakes of plugins, options and policy too.
    """
    judges: list[Judge] = []

    def compile_too(config: Config) -> list[Mistake]:
        judge, mistakes = compile_judge(config, preset)
        judges.append(judge)
        return mistakes

    return configuration.load(path, also=compile_too), judges[0]


def compile_judge(config: Config, preset: str | None = None) -> tuple[Judge, list[Mistake]]:
    """A judge of what can be understood, and every mistake in plugins, options and policy."""
    known, mistakes = discover(config.plugins.directory, config.milter.user)
    judge, more = judge_of(known, config, preset)
    return judge, mistakes + more


def judge_of(known: Sequence[Known], config: Config, preset: str | None = None) -> tuple[Judge, list[Mistake]]:
    """A judge of these validators, configured, and every mistake in their options and the policy."""
    preset = preset or config.policy.preset
    ids = [each.id for each in known]
    mistakes = [
        Mistake(dotted(("validators", each)), f"no validator of that name{nearest(each, ids)}")
        for each in config.validators
        if each not in ids
    ]
    actions, more = overrides(config.policy.actions, ids)
    mistakes += more
    enabled = []
    for each in known:
        settings, more = configure(each, config.validators.get(each.id, {}))
        mistakes += more
        if settings and settings.enabled:
            enabled.append((settings.validator, _enabled(each, settings, preset, actions.get(each.id))))
    observe = preset == "observe"
    exemptions = Exemptions(config.policy.exempt)
    return Judge(make_plan(enabled), exemptions, observe=observe, reject_at_rcpt=config.policy.reject_at_rcpt), mistakes


def _enabled(known: Known, settings: Settings, preset: str, override: Action | None) -> Enabled:
    spec = known.cls.spec
    return Enabled(
        id=spec.id,
        check=getattr(settings.validator, "check", None),  # those without code are dispatched by what was found
        fields=spec.fields,
        rule=compile_rule(spec, preset, override, settings.null_sender),
        on_error=settings.on_error,
        breaker=None if known.builtin else Breaker(),
    )
