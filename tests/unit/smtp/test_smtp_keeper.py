"""The keeper: /metrics and /healthz over HTTP, for scrapers that are slow, odd or many."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forebay import metrics
from forebay.testing import MilterService, milter_service

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE = 60.0


@pytest.fixture(scope="module")
def service() -> Iterator[MilterService]:
    """One milter for all of these tests."""
    with milter_service(milter="workers = 2") as running:
        until = time.monotonic() + DEADLINE
        while get(running, "/healthz")[0] != http.HTTPStatus.OK:
            assert time.monotonic() < until
            time.sleep(0.02)
        yield running


def get(service: MilterService, path: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
    """Status, content type and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=DEADLINE)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()
    finally:
        connection.close()


def test_every_metric_is_served_from_the_start(service: MilterService) -> None:
    """Each has its help and type, and a value before anything happened, so that the first event counts.

    Only third-party validators can be benched, and there are none here.
    """
    code, kind, text = get(service, "/metrics")
    assert (code, kind.partition(";")[0]) == (200, "text/plain")
    for each in set(metrics.ALL) - {metrics.BENCHED}:
        name = each.name.removesuffix("_total") if each.kind == "counter" else each.name
        assert f"# TYPE {each.name} {each.kind}" in text or f"# TYPE {name} {each.kind}" in text
        assert each.help in text
    for first in (
        'forebay_messages_total{action="reject"} 0.0',
        'forebay_findings_total{validator="address-unbalanced-angle"} 0.0',
        'forebay_worker_ends_total{reason="hang"} 0.0',
    ):
        assert first in text


def test_openmetrics_is_served_to_who_asks(service: MilterService) -> None:
    """The format is chosen by the Accept header."""
    code, kind, text = get(service, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert (code, kind.partition(";")[0]) == (200, "application/openmetrics-text")
    assert text.endswith("# EOF\n")


def test_a_file_that_a_worker_is_just_making_is_waited_for(service: MilterService) -> None:
    """Its maker may not go on for some time on a busy machine: the page comes when it is whole."""
    half = service.folder / "run/metrics/counter_making.db"
    half.touch()
    maker = threading.Timer(0.3, half.unlink)
    maker.start()
    code, _, text = get(service, "/metrics")
    maker.join()
    assert code == http.HTTPStatus.OK
    assert metrics.MESSAGES.name in text


def test_a_page_that_cannot_be_made_is_told_in_the_log(service: MilterService) -> None:
    """The scrape fails with a 500, and the log says why."""
    broken = service.folder / "run/metrics/counter_broken.db"
    broken.touch()
    assert get(service, "/metrics")[0] == http.HTTPStatus.INTERNAL_SERVER_ERROR
    broken.unlink()
    assert "a scrape could not be answered" in service.log()
    assert get(service, "/metrics")[0] == http.HTTPStatus.OK


def test_health_is_a_status_for_machines(service: MilterService) -> None:
    """200 while workers serve, with what the supervisor says of itself."""
    code, kind, text = get(service, "/healthz")
    assert (code, kind) == (200, "application/json")
    said = json.loads(text)
    assert (said["state"], said["workers"], said["wanted"]) == ("serving", 2, 2)
    assert get(service, "/healthz", "HEAD") == (200, "application/json", "")


@pytest.mark.parametrize(
    ("path", "method", "code"), [("/", "GET", 404), ("/metrics/x", "GET", 404), ("/", "POST", 501)]
)
def test_nothing_else_is_served(service: MilterService, path: str, method: str, code: int) -> None:
    """Other paths and methods get an answer that says so."""
    assert get(service, path, method)[0] == code


def test_slow_and_broken_scrapers_are_in_nobodys_way(service: MilterService) -> None:
    """Many connections that say nothing, and some that say nonsense, leave room for one that asks."""
    held = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(12)]
    try:
        for garbage in (b"\x00\xff\r\n\r\n", b"GET", b"GET / HTTP/9.9\r\n\r\n", b"A" * 70_000):
            with socket.create_connection(("127.0.0.1", service.port)) as odd:
                odd.sendall(garbage)
        assert get(service, "/healthz")[0] == 200
    finally:
        for each in held:
            each.close()


def test_a_killed_keeper_comes_back(service: MilterService) -> None:
    """The port stays the supervisor's, so nothing is lost but the moment, and the end is counted."""
    status, _, _ = get(service, "/healthz")
    assert status == 200
    keeper = _keeper_of(service.process.pid)
    os.kill(keeper, signal.SIGKILL)
    until = time.monotonic() + DEADLINE
    while True:
        assert time.monotonic() < until
        try:
            if service.metrics()['forebay_helper_ends_total{process="keeper"}'] == 1:
                break
        except OSError:
            time.sleep(0.05)
    assert _keeper_of(service.process.pid) != keeper


def _keeper_of(supervisor: int) -> int:
    """The pid of the keeper among the children of a supervisor."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return next(int(each) for each in children if Path(f"/proc/{each}/comm").read_text() == "forebay-keeper\n")
