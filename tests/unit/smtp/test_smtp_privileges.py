"""What a process of the milter that was started as root may still do once it has become its user."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from forebay.smtp.template import become

if TYPE_CHECKING:
    from collections.abc import Callable

USER: Final = "nobody"
STATUS: Final = Path("/proc/self/status")


def child(body: Callable[[], str]) -> str:
    """What `body` says in a process of its own, whose user is no other's matter."""
    told, telling = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(telling, body().encode())
        finally:
            os._exit(0)
    os.close(telling)
    os.waitpid(pid, 0)
    with os.fdopen(told) as answer:
        return answer.read()


def read(text: str) -> dict[str, str]:
    """What /proc/PID/status says, by name."""
    lines = text.splitlines()
    return {name: " ".join(value.split()) for name, _, value in (each.partition(":") for each in lines)}


@pytest.fixture
def before() -> dict[str, str]:
    """Root's own, with capabilities to lose."""
    found = read(STATUS.read_text())
    assert found["Uid"] == "0 0 0 0", "this is for root to try"
    assert int(found["CapEff"], 16)
    return found


def test_who_was_root_has_nothing_left(before: dict[str, str]) -> None:
    """The user in all four places, its groups alone, no capability in any set but the bound, and none to be gained."""

    def body() -> str:
        become(USER)
        return STATUS.read_text()

    after = read(child(body))
    entry = pwd.getpwnam(USER)
    assert after["Uid"] == " ".join([str(entry.pw_uid)] * 4)
    assert after["Gid"] == " ".join([str(entry.pw_gid)] * 4)
    assert set(after["Groups"].split()) == {str(each) for each in os.getgrouplist(USER, entry.pw_gid)}
    assert {name: int(after[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {
        "CapInh": 0, "CapPrm": 0, "CapEff": 0, "CapAmb": 0,
    }  # fmt: skip
    assert (before["NoNewPrivs"], after["NoNewPrivs"]) == ("0", "1")


@pytest.mark.usefixtures("before")
def test_there_is_no_way_back() -> None:
    """The kernel gives neither the user back nor a group."""

    def body() -> str:
        become(USER)
        ways: list[Callable[[], None]] = [
            lambda: os.setuid(0),
            lambda: os.setresuid(0, 0, 0),
            lambda: os.setgroups([0]),
        ]
        for back in ways:
            try:
                back()
            except PermissionError:
                continue
            return "root again"
        return "no way back"

    assert child(body) == "no way back"
