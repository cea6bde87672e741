"""The names of the metrics are an interface: what is served is what is written down, and nothing that mail says adds to it."""

from __future__ import annotations

import os
import random
import re
import signal
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from forebay import metrics, metrics_router
from forebay.sidecar.metering import Meter
from forebay.testing import MilterService, milter_service
from forebay.testing.message import Message
from metrics.meter_kit import whole_meter
from metrics.prometheus_kit import DEADLINE, promtool, series

if TYPE_CHECKING:
    from collections.abc import Iterator

GOLDEN: Final = Path(__file__).with_name("metrics_golden.txt")
ADDRESSES: Final = 10_000
AT_ONCE: Final = 20
EVIL: Final = b'From: a@example.org\nTo: "joe@example.com\n'
HELD: Final = (
    b"From: a@example.org\nTo: joe@@example.com\nDate: Thu, 26 Nov 2026 01:00:00 +0000\n"
    b"Message-ID: <1@example.org>\nSubject: hello\n"
)
_PIECES: Final = (
    b"<", b">", b'"', b"\\", b"(", b")", b"[", b"]", b"@", b",", b";", b":", b"%", b"{", b"}", b"=", b"\t", b"joe",
    b"example.org", b"\xff\xfe", b"=?utf-8?q?=00?=", b"..", b"a" * 70, b"\x1b[2J", b"'", b"`", b"\xe2\x80\xae", b"\r\n ",
)  # fmt: skip


@pytest.fixture(scope="module")
def service() -> Iterator[MilterService]:
    """One milter for all of these tests, that refuses, holds and tags."""
    with milter_service(milter="workers = 2") as running:
        wait_for(running, "forebay_fingerprint_snapshot_timestamp_seconds")
        yield running


def wait_for(service: MilterService, name: str) -> None:
    """Wait until a metric is above 0."""
    until = time.monotonic() + DEADLINE
    while not service.metrics().get(name, 0):
        assert time.monotonic() < until, service.log()
        time.sleep(0.1)


def page(service: MilterService, accept: str = "") -> str:
    """What a scrape gets."""
    request = urllib.request.Request(f"http://127.0.0.1:{service.port}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
        return str(answer.read().decode())


def odd_address(chance: random.Random) -> bytes:
    """An address such as only a program, or an attacker, writes."""
    return b"".join(chance.choices(_PIECES, k=chance.randint(1, 12)))


def test_every_metric_stands_in_the_golden_file() -> None:
    """A name, kind, label or help text that changes is a change of the interface, and has to be meant."""
    lines = [
        f"{endpoint} {each.name} {each.kind} {{{','.join(each.labels)}}} {each.help}\n"
        for endpoint, specs in (("milter", metrics.ALL), ("sidecar", metrics_router.ALL))
        for each in sorted(specs, key=lambda spec: spec.name)
    ]
    if os.environ.get("FOREBAY_WRITE"):
        GOLDEN.write_text("".join(lines))
    assert GOLDEN.read_text().splitlines(keepends=True) == lines


def test_promtool_finds_nothing_to_say_about_the_milter(service: MilterService) -> None:
    """Names, units and help texts are as Prometheus wants them."""
    assert promtool("check", "metrics", given=page(service)) == ""


def test_promtool_finds_nothing_to_say_about_the_sidecar() -> None:
    """The same, with a value for every label."""
    meter = whole_meter(2)
    assert promtool("check", "metrics", given=meter.render()[0].decode()) == ""


def test_ten_thousand_odd_addresses_add_no_series(service: MilterService) -> None:
    """No label comes from mail: header, sender and recipients can say what they like."""
    chance = random.Random(8)
    before = series(page(service))
    with service.client() as client:
        for _ in range(ADDRESSES // AT_ONCE):
            odd = [odd_address(chance) for _ in range(AT_ONCE)]
            names = (b"From", b"To", b"Cc", b"Reply-To") * (AT_ONCE // 4 - 1)
            fields = tuple((name, b" " + each.replace(b"\r", b"")) for name, each in zip(names, odd[4:], strict=True))
            sender, *recipients = (each.replace(b"\0", b"") for each in odd[:4])
            client.send(Message(fields, sender=sender, recipients=tuple(recipients)))
    assert service.send(HELD).action.word == "quarantine"
    wait_for(service, 'forebay_quarantine_messages{kind="mta-hold"}')
    after = series(page(service))
    ids = re.findall(r'forebay_findings_total\{validator="([^"]*)"\}', "\n".join(before))
    assert after - before <= {f'forebay_quarantine_reasons{{cause="{each}"}}' for each in ids}
    assert before - after == set()


def test_what_happens_to_a_router_adds_no_series_but_its_slots() -> None:
    """All labels are there before anything happened, those of a slot when a worker is in it."""
    fresh = Meter("1.0")
    fresh.about("cgroup-v2", "zmailer")
    assert series(whole_meter(0).render()[0].decode()) == series(fresh.render()[0].decode())
    fresh.began(0)
    assert series(whole_meter(1).render()[0].decode()) == series(fresh.render()[0].decode())


def test_a_slot_that_is_empty_shows_no_memory() -> None:
    """What a worker used is gone with it; what happened to it is still counted."""
    meter = whole_meter(1)
    meter.ended(0)
    text = meter.render()[0].decode()
    assert "forebay_router_worker_memory_bytes{" not in text
    assert 'forebay_router_memory_events_total{event="kill",slot="0"} 4.0' in text


def test_counters_outlive_the_processes_that_count(service: MilterService) -> None:
    """A killed worker, template or keeper takes no count with it."""
    service.send(EVIL)
    counted = {
        name: value for name, value in service.metrics().items()
        if name.startswith(("forebay_findings_total", "forebay_messages_total", "forebay_verdict_duration_seconds_count"))
    }  # fmt: skip
    assert sum(counted.values()) > 0
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children")
    old = {int(each) for each in children.read_text().split()}
    for each in old:
        os.kill(each, signal.SIGKILL)
    until = time.monotonic() + DEADLINE
    while True:
        assert time.monotonic() < until, service.log()
        now = {int(each) for each in children.read_text().split()} - old
        values = service.metrics()
        if len(now) >= len(old) and values["forebay_workers"] == 2:
            break
        time.sleep(0.1)
    assert {name: values[name] for name in counted} == counted


def test_a_scrape_delays_no_session(service: MilterService) -> None:
    """Another process answers: while it stands still, with scrapes waiting, mail is judged as ever."""
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text().split()
    keeper = next(int(each) for each in children if "keeper" in Path(f"/proc/{each}/comm").read_text())
    os.kill(keeper, signal.SIGSTOP)
    try:
        with pytest.raises(OSError, match="timed out"):
            urllib.request.urlopen(f"http://127.0.0.1:{service.port}/metrics", timeout=0.5)
        for _ in range(20):
            assert service.send(EVIL).action.word == "reject"
    finally:
        os.kill(keeper, signal.SIGCONT)
