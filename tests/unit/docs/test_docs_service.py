"""What is shown of a running milter: its status, its metrics, and every line of its log."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from forebay.api import Example
from forebay.judge.verdict import Verdict
from forebay.judge.wording import quarantine_reason, reply, sentence, tag_value
from forebay.message.finding import Action, Finding
from forebay.smtp import session
from forebay.testing import MilterService, milter_service
from unit.docs.console import environment, run, steady, typed
from unit.docs.documents import REFERENCE, Block, blocks, names_in, prose, section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEADLINE: Final = 60.0

HEADER: Final = b"From: jane@example.org\nTo: %s\nDate: Thu, 26 Nov 2026 10:00:00 +0000\n%sSubject: hello\n"
ID: Final = b"Message-ID: <1@example.org>\n"
MESSAGES: Final = {
    "4fX1T6x": HEADER % (b'"Joe <joe@example.com>', ID),
    "4fX1T7k": HEADER % (b"joe@@example.com", b""),
    "4fX1T8m": HEADER % (b"joe@example.com", b""),
    "4fX1T9q": HEADER % (b"joe@example.com", ID),
}
"""Rejected, quarantined, tagged, accepted."""


@dataclass(frozen=True, slots=True)
class Running:
    """A milter that has judged the messages, and a folder to type commands in."""

    service: MilterService
    folder: Path

    def public(self, text: str) -> str:
        """Text with the paths and the port that the documents have."""
        folder = re.escape(str(self.service.folder))
        text = re.sub(f"{folder}/(?:run/)?(milter.sock)", r"/run/forebay/\1", text)
        text = re.sub(f"{folder}/(forebay.toml)", r"/etc/forebay/\1", text)
        return text.replace(f"127.0.0.1:{self.service.port}", "127.0.0.1:9891")

    def private(self, text: str) -> str:
        """A command with the port that this milter has."""
        return text.replace("127.0.0.1:9891", f"127.0.0.1:{self.service.port}")


def send_all(service: MilterService) -> None:
    """Send the messages over one connection."""
    with service.client() as client:
        for queue_id, header in MESSAGES.items():
            client.send(Example(header, sender=b"<jane@example.org>", recipients=(b"<joe@example.com>",)), queue_id)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A milter as the reference has it, with four workers."""
    with milter_service(milter="workers = 4\n") as service:
        eventually(lambda: "serving: 4 workers" in service.log())
        send_all(service)
        # What is held is in the store a moment later.
        eventually(lambda: service.metrics().get('forebay_store_intake_total{record="entries"}') == 1)
        yield Running(service, tmp_path_factory.mktemp("shell"))


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something is so."""
    until = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def live() -> list[Block]:
    """Blocks whose commands ask a running milter."""
    return [each for each in blocks("console") if re.search(r"^\$ (?:forebay status|curl )", each.text, re.MULTILINE)]


@pytest.mark.parametrize("block", live(), ids=lambda block: block.where)
def test_what_is_shown_of_a_running_milter(running: Running, block: Block) -> None:
    """Status and metrics, after these four messages."""
    env = environment(running.folder, running.service.config)
    for each in typed(block.text):
        said = run(running.private(each.command), running.folder, env)
        assert steady(running.public(said)) == steady(each.output)


def test_the_members_of_health_are_told(running: Running) -> None:
    """Every member of /healthz stands in the text, and the states that there are."""
    with urllib.request.urlopen(f"http://127.0.0.1:{running.service.port}/healthz", timeout=10) as answer:
        said: dict[str, Any] = json.load(answer)
    told = set(names_in(section(REFERENCE, "## Metrics and health").partition("`/healthz` answers")[2]))
    assert {*said, *said["reload"], "errors", "hangs", "benched"} <= told
    assert {"starting", "serving", "reloading", "stopping", "stopped"} <= told


def test_the_log_is_as_it_is_shown(tmp_path: Path) -> None:
    """A life from the start to the stop: good and bad mail, a reload that is refused and one that is not."""
    with milter_service(milter="workers = 4\n") as service:
        eventually(lambda: "serving: 4 workers" in service.log())
        send_all(service)
        right = service.config.read_text().replace("drain_time = 5.0", "drain_time = 60.0")
        service.config.write_text(right.replace("workers = 4", "worker = 4"))
        service.reload()
        eventually(lambda: "reload: refused" in service.log())
        service.config.write_text(right)
        service.reload()
        eventually(lambda: "reloaded: 4 workers" in service.log())
        service.process.terminate()
        service.process.wait(DEADLINE)
        first, _ = blocks("log")
        assert set(lines(first.text)) <= set(lines(Running(service, tmp_path).public(service.log())))


def test_the_log_of_the_preset_observe_is_as_it_is_shown() -> None:
    """What would have been done stands at the end."""
    with milter_service('[policy]\npreset = "observe"\n', milter="workers = 1\n") as service:
        send_all(service)
        _, observed = blocks("log")
        assert set(lines(observed.text)) <= set(lines(service.log()))


def test_the_log_as_json_is_as_it_is_shown(tmp_path: Path) -> None:
    """The same, but for times and pids."""
    with milter_service('[log]\nformat = "json"\n', milter="workers = 4\n") as service:
        eventually(lambda: "serving" in service.log())
        send_all(service)
        (block,) = blocks("json")
        written = [timeless(each) for each in Running(service, tmp_path).public(service.log()).splitlines()]
        for each in block.text.splitlines():
            assert timeless(each) in written


def lines(log: str) -> list[str]:
    """The lines of a log, without the pids."""
    return [re.sub(r"^forebay\[\d+\]", "forebay[1]", line) for line in log.splitlines()]


def timeless(line: str) -> dict[str, object]:
    """A line of JSON without time and pid, which it must have."""
    event: dict[str, object] = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(event.pop("time")))
    assert isinstance(event.pop("pid"), int)
    return event


@pytest.mark.parametrize(
    ("field", "text", "validator"),
    [
        (b"To", "unbalanced '\"' at byte 2", "address-unbalanced-quote"),
        (b"MAIL FROM", 'unbalanced "[" at byte 6', "address-unbalanced-bracket"),
        (b"RCPT TO", 'unbalanced "[" at byte 6', "address-unbalanced-bracket"),
    ],
)
def test_replies_are_worded_as_they_are_shown(field: bytes, text: str, validator: str) -> None:
    """Code, status and text of a rejection, by where the finding is."""
    finding = Finding(validator, field, 0, 0, 1, text, Action.REJECT)
    worded = reply(Verdict(Action.REJECT, Action.REJECT, (finding,)))
    assert f"{worded.code} {worded.enhanced} {worded.text}" in names_in(section(REFERENCE, "## Replies"))
    assert sentence(finding) == quarantine_reason(Verdict(Action.QUARANTINE, Action.QUARANTINE, (finding,)))


def test_temporary_errors_are_worded_as_they_are_shown() -> None:
    """All that forebay answers by itself."""
    told = names_in(section(REFERENCE, "## Replies"))
    failed = reply(Verdict(Action.TEMPFAIL, Action.TEMPFAIL))
    for each in (session.FAILURE, session.BUSY, session.NO_QUARANTINE, (failed.code, failed.enhanced, failed.text)):
        assert " ".join(each) in told


def test_the_tag_is_as_it_is_shown() -> None:
    """Host, action, ids."""
    findings = [Finding(each, b"", -1, 0, 0, "", Action.TAG) for each in ("date-obsolete", "header-missing-message-id")]
    value = tag_value(Verdict(Action.TAG, Action.TAG, tuple(findings)), "mx.example.org").decode()
    assert f"    X-Forebay: {value}\n" in prose(REFERENCE)
