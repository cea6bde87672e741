"""The milter's processes under load: reloads, stops, and kill -9 of each kind. No session is lost that need not be."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forebay.api import ACCEPT, QUARANTINE, REJECT, TAG
from forebay.quickstart.private_postfix import private_folder
from forebay.testing import milter_service
from forebay.testing.service import FOREBAY
from mta.milter_load import CLIENTS, KINDS, Load
from mta.private_site import DEADLINE, GOOD, RECIPIENT, SENDER, Process, eventually, processes
from mta.private_site import site as private_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forebay.testing import MilterClient, MilterService

LONG = bool(os.environ.get("FOREBAY_TESTS_LONG"))
MESSAGES = 100_000 if LONG else 800
ROUNDS = 10 if LONG else 2
"""How often the same is done to it under load."""
WORKERS = 3

# A plugin that takes long to load.
SLOW = """\
import time
from pathlib import Path
from forebay.api import Plugin

Path("{folder}/loading").touch()
time.sleep(600)
plugin = Plugin(name="slow", api=1, validators=())
"""


@contextmanager
def running() -> Iterator[MilterService]:
    """A milter whose sessions get a minute to end, since the machine may be busy."""
    with milter_service(milter=f"workers = {WORKERS}") as service:
        reload(service, "drain_time = 5.0", "drain_time = 60.0")
        yield service


def reload(service: MilterService, old: str, new: str, says: str = "reloaded: ") -> None:
    """Change the configuration, send SIGHUP, and wait until the log says what came of it."""
    before = service.log().count(says)
    config = service.config.read_text()
    assert old in config
    service.config.write_text(config.replace(old, new))
    service.reload()
    eventually(lambda: service.log().count(says) > before, service.log)


def open_sessions(service: MilterService, stack: ExitStack, number: int) -> list[tuple[MilterClient, int]]:
    """Sessions that have begun, each with the pid of the worker that serves it, which the log tells."""
    clients = [stack.enter_context(service.client()) for _ in range(number)]
    for each, client in enumerate(clients):
        assert client.send(KINDS[REJECT], queue_id=f"SESSION{each}").action is REJECT
    eventually(lambda: service.log().count(": SESSION") >= number)
    log = service.log()
    return [
        (client, int(re.findall(rf"\[(\d+)\]: SESSION{each}: reject", log)[0])) for each, client in enumerate(clients)
    ]


def is_alive(pid: int) -> bool:
    """Whether a process lives; one that nobody has buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1] != "Z"
    except OSError:
        return False


def test_a_reload_loses_no_session_and_no_verdict() -> None:
    """SIGHUP under load, good and bad configurations in turn: every session ends well, every verdict is right."""
    with running() as service:
        workers = processes(service, "worker")

        def during() -> None:
            for _ in range(ROUNDS):
                reload(service, "workers = 3", "workers = 2")
                reload(service, "workers = 2", 'workers = "some"', "reload: refused")
                reload(service, 'workers = "some"', "workers = 3")
                reload(service, "[milter]", "[milter", "reload: refused")
                reload(service, "[milter\n", "[milter]\n")

        load = Load().run(service, MESSAGES, during)
        assert (load.lost, load.wrong, load.refused) == ([], [], 0)
        assert load.answered >= MESSAGES
        eventually(lambda: not any(is_alive(each.pid) for each in workers))
        assert service.metrics()['forebay_reloads_total{result="failed"}'] == 2 * ROUNDS
        assert service.metrics()["forebay_sessions_cut_total"] == 0


def test_a_reload_takes_effect() -> None:
    """While it goes on both verdicts are right, and no other; afterwards the new one only."""
    with running() as service:
        policy = '[policy.actions]\nheader-missing-message-id = "quarantine"\n[milter]'
        load = Load().run(service, MESSAGES // 2, lambda: reload(service, "[milter]", policy))
        assert load.lost == []
        assert set(load.wrong) <= {(TAG, QUARANTINE)}
        # A session of before is served by the worker of before, so wait for the last of those.
        eventually(lambda: len(processes(service, "worker")) == WORKERS)
        for _ in range(20):
            assert service.send(KINDS[TAG]).action is QUARANTINE


def test_a_storm_of_reloads_ends_with_the_last_configuration() -> None:
    """Orders that come faster than they can be carried out are carried out as one, and cost nobody a session."""
    with running() as service:

        def during() -> None:
            for _ in range(30):
                service.reload()
            reload(service, "[milter]", '[policy]\npreset = "observe"\n[milter]', "reload: reading")

        load = Load().run(service, MESSAGES // 2, during)
        assert load.lost == []
        assert all(action is ACCEPT for _, action in load.wrong)
        eventually(lambda: service.send(KINDS[REJECT]).action is ACCEPT)
        eventually(lambda: len(processes(service, "worker")) == WORKERS)
        assert len(processes(service, "template")) == 1


def test_a_stop_in_the_middle_of_a_reload_loses_no_session() -> None:
    """The new template is not waited for."""
    with running() as service:

        def during() -> None:
            service.reload()
            service.process.terminate()
            assert service.process.wait(DEADLINE) == 0

        load = Load().run(service, MESSAGES // 2, during)
        assert (load.lost, load.wrong) == ([], [])


def test_a_template_that_dies_while_it_loads_changes_nothing() -> None:
    """The reload is refused, and the workers of before serve on."""
    with private_folder() as folder, running() as service:
        (folder / "slow.py").write_text(SLOW.format(folder=folder))
        (old,) = processes(service, "template")
        config = service.config.read_text()
        service.config.write_text(f'[plugins]\ndirectory = "{folder}"\n{config}')
        service.reload()
        eventually((folder / "loading").exists)
        (new,) = [each for each in processes(service, "template") if each != old]
        os.kill(new.pid, signal.SIGKILL)
        eventually(lambda: "reload: refused" in service.log(), service.log)
        assert processes(service, "template") == [old]
        assert service.send(KINDS[REJECT]).action is REJECT
        service.config.write_text(config)
        reload(service, "workers = 3", "workers = 2")


def test_a_session_outlives_a_reload() -> None:
    """Sessions in which nothing is said for a while go on in their old worker, by the old configuration."""
    with running() as service, ExitStack() as stack:
        sessions = open_sessions(service, stack, 6)
        reload(service, "[milter]", '[policy]\npreset = "observe"\n[milter]')
        for client, pid in sessions:
            assert is_alive(pid)
            assert client.send(KINDS[REJECT]).action is REJECT
        assert service.send(KINDS[REJECT]).action is ACCEPT
        stack.close()
        eventually(lambda: not any(is_alive(pid) for _, pid in sessions))


@pytest.mark.parametrize("whom", ["supervisor", "group"])
def test_a_stop_loses_no_session(whom: str) -> None:
    """SIGTERM under load, to the supervisor or to the whole process group: who was in gets all his answers."""
    with running() as service:

        def during() -> None:
            if whom == "group":
                os.killpg(service.process.pid, signal.SIGTERM)
            else:
                service.process.terminate()
            assert service.process.wait(DEADLINE) == 0

        load = Load().run(service, MESSAGES // 2, during)
        assert (load.lost, load.wrong) == ([], [])
        assert load.refused > 0
        assert "sessions were cut" not in service.log()


def test_a_stop_waits_for_sessions_and_cuts_those_that_stay() -> None:
    """Until drain_time; then what is cut is counted and told."""
    with milter_service(milter="workers = 1") as service:
        reload(service, "drain_time = 5.0", "drain_time = 1.0")
        with service.client() as idle:
            assert idle.send(KINDS[REJECT]).action is REJECT
            service.process.terminate()
            assert service.process.wait(DEADLINE) == 0
            assert idle.send(KINDS[ACCEPT]).is_cut
        assert "1 sessions were cut" in service.log()


def test_signals_to_a_worker_are_not_its_business() -> None:
    """A thread of libmilter would take them for an order to stop at once, and cut every session."""
    with running() as service, ExitStack() as stack:
        sessions = open_sessions(service, stack, 4)
        for each in processes(service, "worker"):
            for order in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
                os.kill(each.pid, order)
        for client, pid in sessions:
            assert client.send(KINDS[REJECT]).action is REJECT
            assert is_alive(pid)


def test_a_killed_worker_takes_only_its_own_sessions_along() -> None:
    """A kill -9: the sessions of others go on, and a new worker serves in its place."""
    with running() as service, ExitStack() as stack:
        eventually(lambda: len(processes(service, "worker")) == WORKERS)
        sessions = open_sessions(service, stack, 12)
        victim = sessions[0][1]
        os.kill(victim, signal.SIGKILL)
        for client, pid in sessions:
            answer = client.send(KINDS[REJECT])
            assert answer.is_cut if pid == victim else answer.action is REJECT
        eventually(lambda: "killed by a signal that was not ours" in service.log())
        cut = sum(pid == victim for _, pid in sessions)
        eventually(lambda: service.metrics()["forebay_sessions_cut_total"] == cut)
        eventually(lambda: len(processes(service, "worker")) == WORKERS)
        assert service.send(KINDS[REJECT]).action is REJECT


def test_workers_killed_under_load_cost_no_verdict() -> None:
    """Only sessions that were open at the moment are cut, and nothing is accepted unchecked."""
    kills: list[float] = []

    with running() as service:

        def during() -> None:
            for _ in range(ROUNDS):
                workers = processes(service, "worker")
                ends = service.metrics()['forebay_worker_ends_total{reason="killed"}']
                os.kill(workers[0].pid, signal.SIGKILL)
                kills.append(time.monotonic())
                eventually(lambda: service.metrics()['forebay_worker_ends_total{reason="killed"}'] > ends)  # noqa: B023 - it is over within the round
                eventually(lambda: service.metrics()["forebay_workers"] == WORKERS)

        load = Load().run(service, MESSAGES, during)
        assert load.wrong == []
        assert load.accepted_evil == 0
        assert len(load.lost) <= CLIENTS * len(kills)
        assert all(began <= kills[-1] for began in load.lost)


def test_a_killed_template_is_replaced_and_nobody_notices() -> None:
    """Workers are not its children in the end: they go on, and a new template of the same configuration forks others."""
    with running() as service:
        workers = processes(service, "worker")

        def during() -> None:
            for _ in range(ROUNDS):
                (template,) = processes(service, "template")
                os.kill(template.pid, signal.SIGKILL)
                eventually(lambda: _is_replaced(service, "template", template))  # noqa: B023 - it is over within the round

        load = Load().run(service, MESSAGES // 2, during)
        assert (load.lost, load.wrong, load.refused) == ([], [], 0)
        assert processes(service, "worker") == workers
        assert service.metrics()['forebay_helper_ends_total{process="template"}'] == ROUNDS
        os.kill(workers[0].pid, signal.SIGKILL)
        eventually(lambda: len(set(processes(service, "worker")) - set(workers)) == 1)
        reload(service, "workers = 3", "workers = 2")


def test_a_killed_keeper_is_replaced_and_nobody_notices() -> None:
    """The metrics are back with their old values; mail has nothing to do with it."""
    with running() as service:

        def during() -> None:
            (keeper,) = processes(service, "keeper")
            os.kill(keeper.pid, signal.SIGKILL)
            eventually(lambda: _is_replaced(service, "keeper", keeper))

        load = Load().run(service, MESSAGES // 2, during)
        assert (load.lost, load.wrong, load.refused) == ([], [], 0)
        metrics = service.metrics()
        assert metrics['forebay_helper_ends_total{process="keeper"}'] == 1
        assert sum(metrics[f'forebay_messages_total{{action="{each.word}"}}'] for each in KINDS) == load.answered


def test_a_killed_supervisor_is_the_end_without_a_cut() -> None:
    """Sessions end well, nobody new gets in, and when the sessions are over nothing is left."""
    with running() as service, ExitStack() as stack:
        everybody = [each for kind in ("worker", "template", "keeper") for each in processes(service, kind)]
        sessions = open_sessions(service, stack, 6)
        service.process.kill()
        service.process.wait(DEADLINE)
        eventually(lambda: not _can_connect(service))
        for client, _ in sessions:
            assert client.send(KINDS[REJECT]).action is REJECT
            assert client.send(KINDS[ACCEPT]).action is ACCEPT
        stack.close()
        eventually(lambda: not any(is_alive(each.pid) for each in everybody))


def test_a_supervisor_killed_under_load_lets_nothing_through() -> None:
    """Sessions that were served are; then there is nobody, and the MTA's default action applies."""
    with running() as service:

        def during() -> None:
            service.process.kill()
            service.process.wait(DEADLINE)

        load = Load().run(service, MESSAGES // 2, during)
        assert load.wrong == []
        assert load.accepted_evil == 0


def test_the_next_milter_serves_at_the_place_of_a_killed_one() -> None:
    """What a killed supervisor left behind, socket, lock and status, is in nobody's way."""
    with running() as service:
        everybody = processes(service, "worker")
        service.process.kill()
        service.process.wait(DEADLINE)
        eventually(lambda: not any(is_alive(each.pid) for each in everybody))
        command = (*FOREBAY, "milter", "--config", str(service.config))
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as second:
            try:
                eventually(lambda: _can_connect(service))
                assert service.send(KINDS[REJECT]).action is REJECT
            finally:
                second.terminate()


def test_the_socket_outlives_its_workers() -> None:
    """The path that libmilter unlinks when it stops is not ours, so workers come and go and the path stays."""
    with running() as service:
        path = service.folder / "milter.sock"
        inode = path.stat().st_ino
        reload(service, "workers = 3", "workers = 1")
        (worker,) = processes(service, "worker")[-1:]
        os.kill(worker.pid, signal.SIGKILL)
        eventually(lambda: service.metrics()['forebay_worker_ends_total{reason="killed"}'] == 1)
        eventually(lambda: service.send(KINDS[ACCEPT]).action is ACCEPT)
        assert path.stat().st_ino == inode


def test_postfix_answers_451_while_a_worker_dies_and_serves_afterwards() -> None:
    """On a real Postfix: the message in hand is tempfailed, and nothing unchecked is queued."""
    with private_site() as site, site.client() as client:
        assert client.command(b"MAIL FROM:" + SENDER).code == 250
        assert client.command(b"RCPT TO:" + RECIPIENT).code == 250
        assert client.command(b"DATA").code == 354
        client.raw(GOOD)
        before = processes(site.milter, "worker")
        for each in before:
            os.kill(each.pid, signal.SIGKILL)
        assert client.command(b".").text.startswith("451 4.7.1")
        eventually(lambda: site.reply(GOOD).startswith("250 "), site.milter.log)


def _is_replaced(service: MilterService, kind: str, old: Process) -> bool:
    now = processes(service, kind)
    return len(now) == 1 and now != [old]


def _can_connect(service: MilterService) -> bool:
    try:
        service.client().close()
    except OSError:
        return False
    return True
