"""What the show prints: within 80 columns, in colour only where it is wanted."""

from __future__ import annotations

import io
import re

import pytest

from forebay.quickstart.terminal import Terminal

LONG = "one two three four five six seven eight nine ten " * 5


class Screen(io.StringIO):
    """A terminal, as far as it is asked."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def printed(out: io.StringIO) -> list[str]:
    """The lines that came out, with a little of everything put in."""
    terminal = Terminal(out)
    terminal.line(LONG, "bold", indent=3)
    terminal.cut("x" * 200, "dim", indent=3)
    terminal.line()
    terminal.pair("metrics", "http://127.0.0.1:1/metrics")
    with terminal.step("what is done"):
        pass
    terminal.failure("first\nsecond")
    return out.getvalue().splitlines()


def test_no_line_is_longer_than_a_terminal_is_wide() -> None:
    """Text goes on below, with its indent; what is quoted is cut."""
    lines = printed(io.StringIO())
    assert max(map(len, lines)) <= 80
    assert " ".join(" ".join(lines[:5]).split()).startswith(LONG.strip()[:150])
    assert any(line.endswith("xxx...") for line in lines)


def test_elsewhere_than_on_a_terminal_it_is_plain() -> None:
    """No escape sequence in a file or a pipe."""
    assert "\x1b" not in "".join(printed(io.StringIO()))


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_that_wants_no_colour_gets_none(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """NO_COLOR, and TERM=dumb."""
    monkeypatch.setenv(name, value)
    assert "\x1b" not in "".join(printed(Screen()))


def test_colours_do_not_change_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """With them taken away the same lines are left."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    coloured = printed(Screen())
    assert "\x1b[" in "".join(coloured)
    plain = [re.sub(r"\x1b\[\d*m", "", line) for line in coloured]
    assert plain == printed(io.StringIO())


def test_a_step_that_fails_ends_its_line() -> None:
    """What went wrong begins on a line of its own."""
    out = io.StringIO()
    with pytest.raises(LookupError), Terminal(out).step("what is done"):
        raise LookupError
    assert out.getvalue().endswith("\n")
    assert "ok" not in out.getvalue()
