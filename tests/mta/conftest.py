"""Tells at the end under which MTAs the tests ran, by what these call themselves; with -v, which tests and how they ended."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import pytest

from forebay.quickstart.private_postfix import PrivatePostfix
from mta.private_sendmail import PrivateSendmail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


NONE: Final = "no MTA"
"""Where a milter is spoken to directly: by miltertest, or by garbage that no MTA would send."""
PREFIX: Final = "tests/mta/"


class Listener:
    """Knows which MTAs run: a test counts for each that does so while it is called."""

    def __init__(self) -> None:
        self._patch = pytest.MonkeyPatch()
        self._versions: dict[str, str] = {}
        self._running: dict[int, str] = {}
        self._seen: set[str] = set()
        self._tests: dict[str, list[str]] = defaultdict(list)
        self._failed: set[str] = set()
        self._listen(PrivatePostfix, "_wait_until_it_answers", lambda mta: str(mta.tree), "Postfix")
        self._listen(PrivateSendmail, "start", lambda _: "sendmail", "Sendmail")

    def _listen(self, kind: type[Any], started: str, where: Callable[[Any], str], name: str) -> None:
        """Take note whenever an MTA has been started, and when it is stopped."""
        start, stop = getattr(kind, started), kind.stop

        def note_start(mta: Any, *words: Any) -> None:
            start(mta, *words)
            place = where(mta)
            if place not in self._versions:
                self._versions[place] = f"{name} {mta.version}"
            self._running[id(mta)] = self._versions[place]
            self._seen.add(self._versions[place])

        def note_stop(mta: Any) -> None:
            self._running.pop(id(mta), None)
            stop(mta)

        self._patch.setattr(kind, started, note_start)
        self._patch.setattr(kind, "stop", note_stop)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """Count one test."""
        self._seen = set(self._running.values())
        try:
            return (yield)
        finally:
            for each in self._seen or {NONE}:
                self._tests[each].append(item.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember which one failed, in whatever part of it."""
        if report.failed:
            self._failed.add(report.nodeid)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """One line an MTA, and with -v one line a test below it."""
        for each, tests in sorted(self._tests.items()):
            terminalreporter.write_line(f"under {each}: {len(tests)} tests")
            if terminalreporter.verbosity > 0:
                for test in tests:
                    outcome = "FAILED" if test in self._failed else "passed"
                    terminalreporter.write_line(f"    {outcome}  {test.removeprefix(PREFIX)}")

    def pytest_unconfigure(self) -> None:
        """Listen no more."""
        self._patch.undo()


def pytest_configure(config: pytest.Config) -> None:
    """Begin to listen."""
    config.pluginmanager.register(Listener())
