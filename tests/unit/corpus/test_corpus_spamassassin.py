"""Real mail: what the presets do to the SpamAssassin corpus, measured, and the figures in plugins/README.md.

FOREBAY_WRITE=1 writes the figures anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import measure
import pytest
import spamassassin

GUIDE = Path(__file__).resolve().parents[3] / "plugins" / "README.md"
BEGIN = "<!-- measured: begin (written by tests/unit/corpus/test_corpus_spamassassin.py) -->\n"
END = "<!-- measured: end -->\n"

MOST_REFUSED = 0.0005


@pytest.fixture(scope="module")
def ham() -> measure.Measured:
    return measure.measure(folders(spamassassin.HAM))


@pytest.fixture(scope="module")
def spam() -> measure.Measured:
    return measure.measure(folders(spamassassin.SPAM))


def folders(names: tuple[str, ...]) -> list[Path]:
    try:
        return spamassassin.folders(names)
    except spamassassin.UnavailableError as error:
        pytest.fail(str(error), pytrace=False)


def test_protect_lets_ham_pass(ham: measure.Measured) -> None:
    """At most one message of ham in two thousand is quarantined or rejected; the failure names each."""
    told = "\n".join(f"{place}: {reason}" for place, reason in ham.refused)
    assert ham.messages >= 4150
    assert not ham.unread
    assert ham.refused_share <= MOST_REFUSED, told


def test_observe_refuses_nothing() -> None:
    """Under `observe` nothing is refused, ham or spam."""
    every = measure.measure(folders(spamassassin.HAM + spamassassin.SPAM), "observe")
    assert every.messages >= 6046
    assert every.refused == []


def test_figures_stand_in_the_guide(ham: measure.Measured, spam: measure.Measured) -> None:
    """The table of plugins/README.md is what is measured today."""
    strict = [measure.measure(folders(names), "strict") for names in (spamassassin.HAM, spamassassin.SPAM)]
    shares = (
        f"Under `strict` {measure.share(strict[0])} of the ham and {measure.share(strict[1])} of the spam are refused."
    )
    measured = "\n".join((*measure.table(ham, spam), "", *refusals(ham), "", shares))
    text = GUIDE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    written, _, after = rest.partition(END)
    if os.environ.get("FOREBAY_WRITE"):
        GUIDE.write_text(f"{before}{BEGIN}\n{measured}\n\n{END}{after}", encoding="utf-8")
        written = f"\n{measured}\n\n"
    assert written == f"\n{measured}\n\n"


def refusals(ham: measure.Measured) -> list[str]:
    """Each refused message of ham with its reason, as a list."""
    told = [f"- `{'/'.join(Path(place).parts[-2:])}`: {reason}" for place, reason in ham.refused]
    return ["Refused ham:", "", *told] if told else ["No ham is refused."]
