"""Options of validators: checked once, at load, with every mistake told where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import pytest
from annotated_types import Ge, Gt, Len

from forebay.api import BudgetValidator, FieldValidator, Validator, validator
from forebay.config import Config
from forebay.judge.discovery import Known
from forebay.judge.load import judge_of
from forebay.judge.options import configure, first_sentence, options_schema, own_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from forebay.api import Field, Finding


@validator(id="fussy", rfc="")
class Fussy(FieldValidator):
    """Has options of every type.

    More is said here.
    """

    most: Annotated[int, Gt(0)] = 4
    share: float = 0.5
    word: Literal["red", "blue"] = "red"
    words: tuple[str, ...] = ("a", "b")
    table: Annotated[dict[str, int], Len(0, 2)] = {}  # noqa: RUF012 - a default, checked and copied by pydantic
    loud: bool = False
    kind: ClassVar[str] = "no option"
    _private: int = 1

    def check(self, field: Field) -> Iterable[Finding]:
        """Find nothing."""
        return ()


@validator(id="bounded", rfc="", group="budget")
class Bounded(BudgetValidator):
    """Has levels."""

    measure = "header-fields"
    unit = "fields"
    tag_above: int = 10
    reject_above: Annotated[int, Ge(5)] = 20


def known(cls: type[Validator], *, builtin: bool = True) -> Known:
    return Known(cls, "acme", "acme.py", builtin=builtin)


def options(cls: type[Validator], table: Mapping[str, object]) -> Any:
    settings, mistakes = configure(known(cls), table)
    assert not mistakes
    assert settings is not None
    return settings


def test_defaults_are_what_the_class_says() -> None:
    """Without a table in the configuration."""
    fussy = options(Fussy, {}).validator
    assert (fussy.most, fussy.share, fussy.word, fussy.words, fussy.loud) == (4, 0.5, "red", ("a", "b"), False)


def test_what_is_written_is_set_and_frozen() -> None:
    """An array of TOML becomes a tuple; nobody changes an option while messages are judged."""
    fussy = options(Fussy, {"most": 7, "words": ["x"], "table": {"k": 1}, "loud": True}).validator
    assert (fussy.most, fussy.words, fussy.table, fussy.loud) == (7, ("x",), {"k": 1}, True)
    with pytest.raises(AttributeError, match=r"Fussy\.most: options are frozen"):
        fussy.most = 8
    assert Fussy.most == 4


def test_reserved_options_are_for_every_validator() -> None:
    """Whether it is on, what a failure leads to, what bounces get."""
    settings = options(Fussy, {"enabled": False, "on_error": "tempfail", "null_sender": "tag"})
    assert (settings.enabled, settings.on_error, settings.null_sender.word) == (False, "tempfail", "tag")
    assert options(Fussy, {}).null_sender is None


@pytest.mark.parametrize(
    ("table", "place", "told"),
    [
        ({"msot": 1}, "validators.fussy.msot", "did you mean most"),
        ({"most": 0}, "validators.fussy.most", "greater than 0"),
        ({"most": "3"}, "validators.fussy.most", "whole number"),
        ({"most": 1.5}, "validators.fussy.most", "whole number"),
        ({"most": True}, "validators.fussy.most", "whole number"),
        ({"loud": 1}, "validators.fussy.loud", ""),
        ({"word": "green"}, "validators.fussy.word", "blue"),
        ({"words": "ab"}, "validators.fussy.words", ""),
        ({"words": ["a", 1]}, "validators.fussy.words", ""),
        ({"table": {"a": "b"}}, "validators.fussy.table", ""),
        ({"on_error": "ignore"}, "validators.fussy.on_error", "skip"),
        ({"null_sender": "tempfail"}, "validators.fussy.null_sender", "quarantine"),
        ({"kind": "x"}, "validators.fussy.kind", ""),
        ({"_private": 2}, "validators.fussy._private", ""),
    ],
)
def test_a_mistake_has_its_place_and_a_remedy(table: dict[str, object], place: str, told: str) -> None:
    """In one line; the class is as it was."""
    settings, (mistake,) = configure(known(Fussy), table)
    assert settings is None
    assert mistake.place.startswith(place)
    assert told in mistake.text
    assert "\n" not in str(mistake)


def test_all_mistakes_are_told_at_once() -> None:
    """And whose validator it is, where it is not ours."""
    _, mistakes = configure(known(Fussy, builtin=False), {"most": 0, "word": "green", "x": 1})
    assert len(mistakes) == 3
    assert all(each.text.endswith("(plugin acme)") for each in mistakes)


@pytest.mark.parametrize("level", ["tag_above", "quarantine_above", "reject_above"])
def test_a_level_of_a_budget_is_not_negative(level: str) -> None:
    """0 switches it off; less means nothing."""
    assert configure(known(Bounded), {level: -1})[1]


def test_an_author_may_bound_a_level_further() -> None:
    """What the annotation says holds too."""
    assert configure(known(Bounded), {"reject_above": 4})[1]
    assert options(Bounded, {"reject_above": 5}).validator.reject_above == 5


def author_mistake(**attributes: Any) -> type[Validator]:
    annotations = {name: type(value) for name, value in attributes.items()}
    body = {"__doc__": "Wrong.", "check": Fussy.check, **attributes, "__annotations__": annotations}
    cls = type("Wrong", (FieldValidator,), body)
    return validator(id="wrong", rfc="")(cls)


def test_an_option_with_a_reserved_name_is_the_authors_mistake() -> None:
    """Told with the plugin's name."""
    _, (mistake,) = configure(known(author_mistake(enabled=True)), {})
    assert str(mistake) == "validators.wrong: plugin acme: the option enabled has a reserved name"


def test_an_option_needs_a_default() -> None:
    """Every setting has one."""
    cls = author_mistake(most=1)
    del cls.most  # type: ignore[attr-defined] # made above
    _, (mistake,) = configure(known(cls), {})
    assert "the option most has no default" in mistake.text


def test_an_annotation_that_cannot_be_resolved_is_told() -> None:
    """Types that are imported for type checkers only are not there at load."""
    cls = author_mistake(most=1)
    cls.__annotations__["most"] = "Sequence[int]"
    _, (mistake,) = configure(known(cls), {})
    assert "Sequence" in mistake.text


def test_a_table_for_a_validator_that_is_not_there_is_a_mistake() -> None:
    """With the one that was probably meant."""
    _, (mistake,) = judge_of([known(Fussy)], Config(validators={"fusy": {}}))
    assert mistake.place == "validators.fusy"
    assert "did you mean fussy" in mistake.text


def test_options_are_described() -> None:
    """For `validators show` and the schema: own ones with defaults, reserved ones, the first sentence."""
    assert own_options(Fussy)["most"] == 4
    assert set(own_options(Fussy)) == {"most", "share", "word", "words", "table", "loud"}
    schema = options_schema(Fussy)
    assert schema["description"] == first_sentence(Fussy) == "Has options of every type."
    assert {"enabled", "on_error", "null_sender", "most"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False


UNTOUCHED: Final = (Fussy.most, Fussy.words)


def test_classes_are_as_they_were() -> None:
    """Configuring makes objects, and changes no class."""
    options(Fussy, {"most": 9, "words": ["z"]})
    assert (Fussy.most, Fussy.words) == UNTOUCHED
