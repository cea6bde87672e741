"""Ten kinds of trouble, each staged: which alert fires after how long, which panel shows it, and that the runbook ends it.

Time runs 120 times as fast for the alerts, and as ever for forebay.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pytest

from forebay.testing import Message
from metrics.trouble_kit import (
    Host,
    Incident,
    Outcome,
    Watch,
    empty_panels,
    go_through_all,
    side_by_side,
    two_hosts,
    until,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from metrics.rules_kit import Rule

STORM: Final = 20
LEAK: Final = 60
EVERYTHING: Final = 16
_WRONG: Final = "nonsense = 1\n"


def mail(name: str, do: str = "") -> Message:
    """The same message as `Site.put` puts into the spool."""
    action = f"X-Do: {do}\n" if do else ""
    return Message.parse(
        f"From: a@example.org\nTo: b@example.com\nDate: Thu, 26 Nov 2026 01:00:00 +0000\nSubject: hello\n"
        f"Message-ID: <{name}@example.org>\n{action}".encode()
    ).sent_by(b"<a@example.org>")


def pass_on(host: Host, name: str, do: str) -> None:
    """A message by SMTP, as an MTA passes it: to the milter, and then into the spool."""
    answer = host.milter.send(mail(name, do))
    assert answer.action.word in {"accept", "tag"}
    host.router.put(name, do)


def delete_all(host: Host) -> None:
    """What a person does with what is set aside."""
    until(lambda: bool(host.waiting()), "an entry", host)
    host.desk.ask("quarantine", "show", host.waiting()[0])
    host.desk.ask("quarantine", "delete", "--yes", *host.waiting())


def storm(host: Host) -> None:
    """The first killer once more, by SMTP and straight into the spool."""
    until(lambda: host.milter.send(mail("killer", "memory")).action.word == "quarantine", "the fingerprint", host)
    for number in range(STORM):
        assert host.milter.send(mail("killer", "memory")).action.word == "quarantine"
        host.router.put(f"copy{number}", "memory", identity="killer")


def end_storm(host: Host) -> None:
    """The fingerprint stays active, the fuse whole: copies of one killer count once."""
    live = host.desk.ask("fingerprints", "list", "--json")
    assert '"state": "live"' in live
    assert "suspended" not in live
    status = host.router.status()
    assert status
    assert status["fuse_blown_since"] == 0
    until(lambda: len(host.waiting()) >= STORM, "all copies set aside", host)
    host.desk.ask("quarantine", "list", "--cause", "fingerprint")
    delete_all(host)


def leak(host: Host) -> None:
    """Every message leaves something behind in its worker."""
    for number in range(LEAK):
        host.router.put(f"leak{number}", "memory 12")


def break_router(host: Host) -> None:
    """It dies of whatever it takes."""
    host.restart_router("--crash-always")
    for number in range(EVERYTHING):
        host.router.put(f"good{number}")


def repair_router(host: Host) -> None:
    """The version before, the fuse reset, and what was set aside released: all of it is delivered."""
    host.restart_router()
    host.desk.ask("sidecar", "--reset-fuse")
    until(lambda: (host.router.status() or {}).get("fuse_blown_since") == 0, "the fuse", host)
    if ids := host.waiting():
        host.desk.ask("quarantine", "release", *ids)
    wanted = {f"good{number}" for number in range(EVERYTHING)}
    until(lambda: wanted <= set(host.router.delivered()), "all delivered", host)


def hang(host: Host) -> None:
    """A message that a plugin does not come back from."""
    with suppress(OSError):  # the session is cut with its worker
        host.milter.send(mail("hang").field(b"X-Hang", b" yes"))


def kill(host: Host) -> None:
    """The supervisor is gone at once."""
    host.milter.process.send_signal(signal.SIGKILL)
    host.milter.process.wait()


def stop_database(host: Host) -> None:
    """And all connections to it."""
    assert host.database
    host.database.stop()


def start_database(host: Host) -> None:
    """The runbook's only step."""
    assert host.database
    host.database.start()


def fill(host: Host) -> None:
    """All but a little of the disk that the spool is on."""
    found = os.statvfs(host.router.root)
    host.router.root.with_name("ballast").write_bytes(b"x" * (found.f_bavail * found.f_frsize - (3 << 20)))


def reload_wrong(host: Host) -> None:
    """A setting that there is not."""
    host.configure(lambda text: _WRONG + text)


def reload_right(host: Host) -> None:
    """`config check` says what is wrong; it is taken out."""
    host.desk.ask("config", "check", status=78)
    host.configure(lambda text: text.removeprefix(_WRONG))


def switch_off(host: Host) -> None:
    """The validator that hung."""
    host.configure(lambda text: text + "[validators.hung]\nenabled = false\n")
    until(lambda: "reloaded" in host.milter.log(), "the reload", host)
    assert host.milter.send(mail("hang").field(b"X-Hang", b" yes")).action.word in {"accept", "tag"}


INCIDENTS: Final = (
    Incident("killer by SMTP", "mx1", ("ForebayRouterOutOfMemory", "ForebaySetAside"),
             ("Strikes by cause", "Set aside", "Ends of workers", "Fingerprints"),
             lambda host: pass_on(host, "killer", "memory"), delete_all),
    Incident("killer put into the spool", "mx1", ("ForebaySetAside",),
             ("Strikes by cause", "Set aside by cause", "Waiting for a person"),
             lambda host: (host.router.put("crasher", "crash"), None)[1], delete_all),
    Incident("resend storm", "mx1", ("ForebayKillerResent", "ForebaySetAside"), ("Fingerprints", "Set aside by cause"),
             storm, end_storm),
    Incident("disk nearly full", "mx1", ("ForebayDiskNearlyFull",), ("Room on disk",),
             fill, lambda host: host.router.root.with_name("ballast").unlink()),
    Incident("memory leak of the router", "mx1", ("ForebayRouterLeaks",),
             ("Memory of workers against their limits", "Ends of workers", "Claims"),
             leak, lambda host: host.restart_router(router__limits__memory=400 << 20)),
    Incident("router broken on everything", "mx1", ("ForebayFuseBlown",), ("Fuse=1", "Strikes by cause"),
             break_router, repair_router),
    Incident("bad reload", "mx2", ("ForebayReloadFailed",), ("Configuration=0", "Reloads"), reload_wrong, reload_right),
    Incident("hung plugin", "mx2", ("ForebayValidatorHung", "ForebayMilterFailing"),
             ("Validators in trouble", "Ends of workers", "Failures by kind"), hang, switch_off),
    Incident("store down", "mx2", ("ForebayStoreAway",), ("Store=0", "Records"), stop_database, start_database),
    Incident("milter killed", "mx2", ("ForebayMilterDown",), ("Workers=0",), kill, Host.restart_milter),
)  # fmt: skip


@pytest.fixture(scope="module")
def course(
    rules: dict[str, Rule], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Watch, dict[str, Outcome], list[str]]]:
    """What was watched, what became of each incident, and the panels that had nothing to show before the first."""
    with two_hosts(tmp_path_factory.mktemp("trouble"), rules) as (watch, hosts):
        began = time.time()
        until(lambda: not empty_panels(watch, time.time() - 3) or time.time() - began > 20, "data", hosts["mx1"])
        empty = empty_panels(watch, time.time() - 3)
        outcomes: dict[str, Outcome] = {}

        def course_of(name: str) -> Callable[[], None]:
            mine = [each for each in INCIDENTS if each.host == name]
            return lambda: go_through_all(mine, hosts[name], watch, outcomes)

        side_by_side([course_of("mx1"), course_of("mx2")])
        for each in INCIDENTS:
            outcome = outcomes[each.name]
            told = [f"{alert} after {s:.1f} s" for alert, s in outcome.fired.items()]
            over = [f"{s:.1f} s" for s in outcome.ended.values()]
            print(f"{each.name}: {', '.join(told)}; over after {', '.join(over)}; panels {', '.join(each.panels)}")
        yield watch, outcomes, empty


def test_no_panel_is_empty_on_a_fresh_install(course: tuple[Watch, dict[str, Outcome], list[str]]) -> None:
    """Every panel has something to show before anything has happened."""
    assert course[2] == []


@pytest.mark.parametrize("incident", INCIDENTS, ids=lambda each: each.name.replace(" ", "-"))
def test_the_right_alert_fires_and_the_runbook_ends_it(
    course: tuple[Watch, dict[str, Outcome], list[str]], incident: Incident
) -> None:
    """Its alerts reach the Alertmanager, its panels show it, the runbook's commands end it, and the alerts resolve."""
    outcome = course[1][incident.name]
    assert outcome.error == ""
    assert set(outcome.fired) == set(outcome.ended) == set(incident.alerts)


def test_every_rule_was_evaluated(course: tuple[Watch, dict[str, Outcome], list[str]]) -> None:
    """No rule failed in any evaluation, whatever was going on."""
    groups = course[0].source.get("/api/v1/rules")["data"]["groups"]
    assert {
        each["name"]: each["lastError"] for group in groups for each in group["rules"] if each.get("lastError")
    } == {}
    assert course[0].source.value("sum(prometheus_rule_evaluation_failures_total) or vector(0)") == 0
