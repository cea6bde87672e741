"""From findings to an action: presets, the administrator's word, bounces, exemptions."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forebay.api import ACCEPT, GROUPS, QUARANTINE, REJECT, TAG, Action, FieldValidator, Validator, validator
from forebay.config import Config, Policy
from forebay.config import Exempt as ExemptSection
from forebay.errors import ConfigError
from forebay.judge.discovery import Known
from forebay.judge.load import judge_of
from forebay.judge.policy import HOLD, NULL, PROFILES, SOFT, Exemptions, compile_rule, overrides
from forebay.message.envelope import Envelope
from forebay.testing import Message, Runner
from forebay_validators import plugin

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forebay.api import Field, Finding

ACTIONS: Final = (ACCEPT, TAG, QUARANTINE, REJECT)
MESSAGE: Final = Message.parse(b"From: a@example.org\nTo: b@example.com\nSubject: evil")


def finder(
    group: str, action: Action = REJECT, *, name: str = "", wish: Action | None = None, **more: Any
) -> type[Validator]:
    """A validator that finds something in each field with `evil` in it."""

    class Finder(FieldValidator):
        """Finds evil."""

        def check(self, field: Field) -> Iterable[Finding]:
            """Report it."""
            at = field.value.find(b"evil")
            if at >= 0:
                yield self.find("evil", field, at, at + 4, wish)

    return validator(id=name or f"{group}-evil", rfc="", group=group, action=action, **more)(Finder)


def act(validator: type[Validator], message: Message = MESSAGE, **policy: Any) -> Action:
    """The action on a message under this policy."""
    return Runner((validator,), Config(policy=Policy(**policy))).verdict(message).action


# -- presets --


@pytest.mark.parametrize("action", ACTIONS)
def test_protect_does_what_the_validator_states(action: Action) -> None:
    """The default preset has nothing of its own."""
    assert act(finder("address", action)) is action


def test_protect_does_what_a_finding_asks_for() -> None:
    """A finding's wish goes before the validator's default, upwards and downwards."""
    assert act(finder("budget", REJECT, wish=TAG)) is TAG
    assert act(finder("budget", TAG, wish=REJECT)) is REJECT


def test_strict_is_never_milder() -> None:
    """What the validator states for strict holds where it is more severe; lower levels of a budget stay."""
    assert act(finder("address", TAG, strict=REJECT), preset="strict") is REJECT
    assert act(finder("address", TAG, strict=REJECT)) is TAG
    assert act(finder("address", REJECT, strict=TAG), preset="strict") is REJECT
    assert act(finder("budget", REJECT, wish=TAG), preset="strict") is TAG
    assert act(finder("budget", TAG, wish=TAG, strict=QUARANTINE), preset="strict") is QUARANTINE


@pytest.mark.parametrize("action", ACTIONS)
def test_observe_accepts_and_says_what_it_would_have_done(action: Action) -> None:
    """Nothing is refused, and what protect would have done is told, by message and finding."""
    verdict = Runner((finder("budget", action),), Config(policy=Policy(preset="observe"))).verdict(MESSAGE)
    assert verdict.action is ACCEPT
    assert verdict.would is action
    assert [each.action for each in verdict.findings] == [action]


def test_authors_have_an_action_of_their_own() -> None:
    """In From and Sender, and there only, `author_action` holds, whatever the case of the name."""
    picky = finder("address", TAG, author_action=REJECT, strict=QUARANTINE)
    for name, action, strict in (
        (b"FROM", REJECT, REJECT),
        (b"Sender", REJECT, REJECT),
        (b"Reply-To", TAG, QUARANTINE),
    ):
        message = Message().field(name, b" evil")
        assert act(picky, message) is action
        assert act(picky, message, preset="strict") is strict


# -- the administrator's word --


def test_an_id_goes_before_globs_and_a_longer_glob_before_a_shorter() -> None:
    """Whatever their order in the file."""
    ids = ["date-bad", "date-worse", "header-bad"]
    actions = {"date-worse": "reject", "*": "accept", "date-*": "tag", "*bad": "quarantine"}
    for order in (list(actions), list(reversed(actions))):
        chosen, mistakes = overrides({each: actions[each] for each in order}, ids)
        assert not mistakes
        assert chosen == {"date-bad": TAG, "date-worse": REJECT, "header-bad": QUARANTINE}


def test_of_equal_globs_the_later_holds() -> None:
    """As a person reads the file."""
    assert overrides({"a*": "tag", "*b": "reject"}, ["ab"])[0] == {"ab": REJECT}
    assert overrides({"*b": "reject", "a*": "tag"}, ["ab"])[0] == {"ab": TAG}


def test_a_name_that_matches_nothing_is_a_mistake() -> None:
    """With its place, and the id that was probably meant."""
    _, (mistake,) = overrides({"date-bda": "tag"}, ["date-bad"])
    assert mistake.place == "policy.actions.date-bda"
    assert "did you mean date-bad" in mistake.text


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("preset", ["protect", "strict"])
def test_an_override_holds_for_every_finding(action: Action, preset: str) -> None:
    """For wishes, for authors, and under every preset."""
    noisy = finder("address", QUARANTINE, wish=REJECT, author_action=REJECT, strict=REJECT)
    message = Message().field(b"From", b" evil").field(b"X", b" evil")
    assert act(noisy, message, preset=preset, actions={"address-evil": action.word}) is action
    assert act(noisy, message, preset=preset, actions={"address-*": action.word}) is action


def test_an_override_changes_nothing_under_observe() -> None:
    """The administrator's word is noted as what would have been done."""
    config = Config(policy=Policy(preset="observe", actions={"*": "reject"}))
    verdict = Runner((finder("hygiene", TAG),), config).verdict(MESSAGE)
    assert (verdict.action, verdict.would) == (ACCEPT, REJECT)


# -- bounces --


@pytest.mark.parametrize("sender", [b"<>", b""])
def test_the_null_sender_softens_what_a_validator_says_and_no_more(sender: bytes) -> None:
    """Anybody can write MAIL FROM:<>: only validators that state it are milder."""
    bounce = MESSAGE.sent_by(sender)
    assert act(finder("hygiene", QUARANTINE, null_sender=TAG), bounce) is TAG
    assert act(finder("hygiene", QUARANTINE, null_sender=TAG)) is QUARANTINE
    assert act(finder("hygiene", TAG, null_sender=QUARANTINE), bounce) is TAG
    assert act(finder("hygiene", QUARANTINE), bounce) is QUARANTINE


def test_the_null_sender_option_goes_before_what_the_validator_states() -> None:
    """`[validators.ID] null_sender` is the administrator's; it softens an override too."""
    quiet = finder("hygiene", QUARANTINE, null_sender=TAG)
    options = {"hygiene-evil": {"null_sender": "accept"}}
    bounce = MESSAGE.sent_by(b"<>")
    assert Runner((quiet,), Config(validators=options)).verdict(bounce).action is ACCEPT
    config = Config(validators=options, policy=Policy(actions={"*": "reject"}))
    assert Runner((quiet,), config).verdict(bounce).action is ACCEPT
    assert Runner((quiet,), config).verdict(MESSAGE).action is REJECT


def test_built_in_validators_that_soften_for_bounces_are_those_of_the_fixed_list() -> None:
    """Presence and obsolete forms: never a budget, never an ambiguity."""
    softened = [each.spec for each in plugin.validators if each.spec.null_sender is not None]
    assert softened
    assert {spec.group for spec in softened} <= {"hygiene", "address"}


# -- exemptions --

INSIDE: Final = ip_network("192.0.2.0/24")


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize(
    ("who", "hygiene", "others"),
    [
        ("authenticated", TAG, QUARANTINE),
        ("network", TAG, QUARANTINE),
        ("recipients", TAG, REJECT),
        ("full", ACCEPT, ACCEPT),
        ("nobody", REJECT, REJECT),
    ],
)
def test_exemptions_soften_hygiene_only(group: str, who: str, hygiene: Action, others: Action) -> None:
    """A refusal becomes a quarantine for exempt and authenticated clients; the rest is judged for everyone."""
    exempt, message = ExemptSection(), MESSAGE
    if who == "authenticated":
        message = Message(MESSAGE.fields, authenticated=True)
    elif who == "network":
        exempt = ExemptSection(networks=(INSIDE,))
    elif who == "recipients":
        exempt = ExemptSection(recipients=("@example.com",))
    elif who == "full":
        exempt = ExemptSection(full=(INSIDE,))
    assert act(finder(group), message, exempt=exempt) is (hygiene if group == "hygiene" else others)


def test_nobody_is_exempt_by_default() -> None:
    """Loopback neither, and a local submission without an address neither."""
    for client in ("127.0.0.1", "::1", "10.0.0.1", ""):
        assert act(finder("hygiene"), Message(MESSAGE.fields, client=client)) is REJECT


def test_authenticated_clients_can_be_judged_like_others() -> None:
    """`authenticated = false` takes the softness away."""
    message = Message(MESSAGE.fields, authenticated=True)
    assert act(finder("budget"), message, exempt=ExemptSection(authenticated=False)) is REJECT


def test_all_recipients_must_be_exempt() -> None:
    """One recipient who is not listed, and the message is judged as for everybody; no recipient is no exemption."""
    exempt = ExemptSection(recipients=("joe@example.com", "@Example.NET"))
    listed = MESSAGE.sent_to(b"<JOE@example.com>", b"<any@example.net>")
    assert act(finder("hygiene"), listed, exempt=exempt) is TAG
    assert act(finder("hygiene"), listed.sent_to(b"<joe@example.com>", b"<sue@example.com>"), exempt=exempt) is REJECT
    assert act(finder("hygiene"), listed.sent_to(b"<x@sub.example.net>"), exempt=exempt) is REJECT
    assert act(finder("hygiene"), listed.sent_to(), exempt=exempt) is REJECT


@pytest.mark.parametrize(
    ("client", "listed"),
    [
        ("192.0.2.7", True),
        ("198.51.100.7", False),
        ("2001:db8::7", True),
        ("IPv6:2001:db8::7", True),
        ("::ffff:192.0.2.7", True),
        ("2001:db9::7", False),
        ("unknown", False),
        ("192.0.2.7 ", False),
        ("", False),
    ],
)
def test_a_client_is_in_a_network_or_not(client: str, listed: bool) -> None:
    """IPv4 as it comes over IPv6 counts as IPv4; what is no address is in no network."""
    exemptions = Exemptions(ExemptSection(networks=(INSIDE, ip_network("2001:db8::/32"))))
    assert bool(exemptions.profile(Envelope(b"<a@b>", client=client)) & HOLD) is listed


def test_profiles_are_what_they_are_made_of() -> None:
    """Null sender, softness and hold are independent of each other."""
    exemptions = Exemptions(ExemptSection(networks=(INSIDE,), recipients=("joe@example.com",)))
    joe = (b"<joe@example.com>",)
    assert exemptions.profile(Envelope(b"<>", client="198.51.100.1")) == NULL
    assert exemptions.profile(Envelope(b"<a@b>", joe)) == SOFT
    assert exemptions.profile(Envelope(b"<>", joe, "192.0.2.1")) == NULL | SOFT | HOLD
    assert exemptions.can_hold
    assert not Exemptions(ExemptSection(authenticated=False)).can_hold


@given(
    group=st.sampled_from(GROUPS),
    action=st.sampled_from(ACTIONS),
    strict=st.sampled_from(ACTIONS),
    preset=st.sampled_from(["observe", "protect", "strict"]),
    override=st.sampled_from([None, *ACTIONS]),
    profile=st.sampled_from(list(PROFILES)),
    wish=st.sampled_from([None, *ACTIONS]),
    author=st.booleans(),
)
def test_a_softer_profile_is_never_harder(
    group: str,
    action: Action,
    strict: Action,
    preset: str,
    override: Action | None,
    profile: int,
    wish: Action | None,
    author: bool,
) -> None:
    """Whatever is exempt gets at most what everybody gets, and groups other than hygiene lose nothing but the 5xx."""
    rule = compile_rule(finder(group, action, strict=strict).spec, preset, override, None)
    everybody, exempt = rule.action(0, author, wish), rule.action(profile, author, wish)
    assert exempt <= everybody
    if group != "hygiene":
        assert exempt is (QUARANTINE if profile & HOLD and everybody is REJECT else everybody)
    assert rule.can_be(exempt, held=True)


# -- what the judge says of itself --


def test_the_judge_says_what_it_may_ask_for() -> None:
    """The session negotiates by it: no tag and no quarantine where none can come."""

    def judge(action: Action, **policy: Any) -> Any:
        known = [Known(finder("address", action), "test", "test", builtin=True)]
        return judge_of(known, Config(policy=Policy(**policy)))[0]

    nobody = ExemptSection(authenticated=False)
    assert judge(TAG).may_quarantine  # a finding may ask for it
    assert judge(REJECT, actions={"*": "reject"}).may_quarantine  # for authenticated clients
    assert not judge(REJECT, actions={"*": "reject"}, exempt=nobody).may_quarantine
    assert not judge(TAG, actions={"*": "tag"}).may_quarantine
    assert not judge(QUARANTINE, preset="observe").may_quarantine
    assert judge(TAG).may_tag
    assert not judge(TAG, preset="observe").may_tag
    assert judge(TAG, reject_at_rcpt=True).reject_at_rcpt
    assert not judge(TAG, reject_at_rcpt=True, preset="observe").reject_at_rcpt


def test_a_wrong_policy_is_refused_with_its_place() -> None:
    """A misspelt id in `[policy.actions]` does not go unnoticed."""
    with pytest.raises(ConfigError, match=r"policy\.actions\.adress-evil: .*did you mean address-evil"):
        Runner((finder("address"),), Config(policy=Policy(actions={"adress-evil": "tag"})))
