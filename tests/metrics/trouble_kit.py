"""Two hosts, a Prometheus that scrapes them, an Alertmanager that hears of it, and time that runs 120 times as fast.

The rules are those that are shipped, with every duration in them divided by FACTOR; everything else is as it is.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from fleet.fleet_kit import TAG_ALL
from fleet.postgres_kit import Postgres, postgres
from forebay.quickstart.ports import free_port
from forebay.store.engine import Store
from forebay.testing import MilterService, milter_service
from forebay.testing.service import FOREBAY
from metrics.boards_kit import Target, board, targets
from metrics.prometheus_kit import Server, alertmanager, prometheus, server
from mta.quarantine_kit import Desk
from sidecar.conftest import clean_up
from sidecar.sidecar_kit import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from metrics.rules_kit import Rule

FACTOR: Final = 120
SCRAPE: Final = 0.5
WINDOW: Final = "4s"
DEADLINE: Final = 90.0
DISK: Final = "48m"
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_HUNG: Final = '''
from forebay.api import *

@validator(id="hung", rfc="", fields=("x-hang",))
class Hung(FieldValidator):
    """Does not come back."""

    def check(self, field):
        while True:
            pass

plugin = Plugin(name="hung", api=1, validators=(Hung,))
'''


def compressed(query: str) -> str:
    """An expression with its windows, offsets and products of seconds divided."""

    def divided(found: re.Match[str]) -> str:
        return f"{found[1]}{int(found[2]) * _UNITS[found[3]] * 1000 // FACTOR}ms{found[4]}"

    text = re.sub(r"(\[|offset )(\d+)([smhd])(\]|\))", divided, query)
    return re.sub(r"(?<=\* )(60|3600)\b|(?<=> )3600\b", lambda found: str(float(found[0]) / FACTOR), text)


class Watch:
    """What Prometheus knows, and the Alertmanager was told."""

    def __init__(self, source: Server, told: Server) -> None:
        self.source, self.told = source, told
        self._panels: dict[str, list[Target]] = {}
        for each in targets():
            self._panels.setdefault(each.panel, []).append(each)

    def firing(self, instance: str) -> set[str]:
        """The alerts of a host that the Alertmanager has."""
        found = self.told.get("/api/v2/alerts", active="true", filter=f'instance="{instance}"')
        return {each["labels"]["alertname"] for each in found}

    def values(self, panel: str, instance: str, since: float) -> list[float]:
        """Every value that a panel of this title shows of a host since then."""
        found: list[float] = []
        for each in self._panels[panel]:
            query = each.ready(WINDOW, "60s", instance)
            answer = self.source.get(
                "/api/v1/query_range", query=query, start=since, end=time.time(), step=max(SCRAPE, 0.5)
            )
            found += [float(value) for series in answer["data"]["result"] for _, value in series["values"]]
        return [value for value in found if value == value]  # noqa: PLR0124 - but for those that are no number

    def shows(self, panel: str, instance: str, since: float) -> bool:
        """Whether `TITLE` has shown something above 0 since then, or `TITLE=N` that number."""
        title, _, wanted = panel.partition("=")
        values = self.values(title, instance, since)
        return any(value == float(wanted) if wanted else value > 0 for value in values)


@dataclass
class Host:
    """One of them. `site` is the router's side where there is one; `messages` counts those that were made."""

    name: str
    milter: MilterService
    site: Site | None
    desk: Desk
    database: Postgres | None = None
    more: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def router(self) -> Site:
        """The router's side."""
        assert self.site
        return self.site

    def configure(self, change: Callable[[str], str]) -> None:
        """Change the milter's configuration, and have it read."""
        self.milter.config.write_text(change(self.milter.config.read_text()))
        self.milter.reload()

    def restart_milter(self) -> None:
        """What systemctl restart does to one that is dead."""
        command = (*FOREBAY, "milter", "--config", str(self.milter.config))
        with (self.milter.folder / "log").open("ab") as log:
            self.more.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def restart_router(self, *options: str, **settings: object) -> None:
        """Restart the sidecar and the router with it, with other options or settings."""
        self.router.stop()
        self.router.router_options = list(options)
        self.router.settings |= {key.replace("__", "."): value for key, value in settings.items()}
        self.router.start()

    def waiting(self) -> list[str]:
        """The ids of what is set aside."""
        return [each["id"] for each in self.desk.entries("--kind", "spool")]


@dataclass
class Outcome:
    """What became of one incident: seconds to each alert, whether each ended, or what went wrong."""

    fired: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Incident:
    """One kind of trouble: the alerts that have to fire, the panels that have to show it, and what a person does."""

    name: str
    host: str
    alerts: tuple[str, ...]
    panels: tuple[str, ...]
    stage: Callable[[Host], None]
    end: Callable[[Host], None]


def go_through(incident: Incident, host: Host, watch: Watch) -> Outcome:
    """Stage it, wait for alerts and panels, do what the runbook says; `watch_end` waits for the rest."""
    outcome = Outcome()
    try:
        since = time.time()
        incident.stage(host)
        for each in incident.alerts:
            until(lambda each=each: each in watch.firing(host.name), f"{each} fires", host)  # type: ignore[misc]
            outcome.fired[each] = time.time() - since
            until(lambda each=each: names_alert(watch, each, host.name), f"the panel names {each}", host)  # type: ignore[misc]
        for panel in incident.panels:
            until(lambda panel=panel: watch.shows(panel, host.name, since), f"{panel} shows it", host)  # type: ignore[misc]
        incident.end(host)
    except Exception as error:  # noqa: BLE001 - the others have to be gone through as well
        outcome.error = f"{type(error).__name__}: {error}"
    return outcome


def watch_end(incident: Incident, outcome: Outcome, host: Host, watch: Watch) -> None:
    """Wait until its alerts have resolved."""
    since = time.time()
    try:
        for each in outcome.fired:
            until(lambda each=each: each not in watch.firing(host.name), f"{each} ends", host)  # type: ignore[misc]
            outcome.ended[each] = time.time() - since
    except Exception as error:  # noqa: BLE001 - as above
        outcome.error = outcome.error or f"{type(error).__name__}: {error}"


def go_through_all(incidents: list[Incident], host: Host, watch: Watch, outcomes: dict[str, Outcome]) -> None:
    """One after the other. The next one begins while the alerts of the last resolve, if it has none of them itself."""
    resolving: list[tuple[Incident, threading.Thread]] = []
    for each in incidents:
        for before, thread in resolving:
            if set(before.alerts) & set(each.alerts):
                thread.join()
        outcomes[each.name] = outcome = go_through(each, host, watch)
        thread = threading.Thread(target=watch_end, args=(each, outcome, host, watch))
        thread.start()
        resolving.append((each, thread))
    for _, thread in resolving:
        thread.join()


def names_alert(watch: Watch, alert: str, instance: str) -> bool:
    """Whether the first panel of a dashboard names an alert."""
    query = next(each for each in targets() if each.panel == "Alerts").ready(WINDOW, "60s", instance)
    return any(each["metric"].get("alertname") == alert for each in watch.source.query(query))


def until(holds: Callable[[], bool], what: str, host: Host) -> None:
    """Wait until something is so."""
    end = time.monotonic() + DEADLINE
    while not holds():
        log = host.milter.log()[-1500:] + (host.site.log()[-2500:] if host.site else "")
        assert time.monotonic() < end, f"waited in vain: {what}\n{log}"
        time.sleep(0.2)


@contextmanager
def two_hosts(root: Path, rules: dict[str, Rule]) -> Iterator[tuple[Watch, dict[str, Host]]]:
    """mx1 has a router, and a small disk; mx2 has none, and a plugin that hangs, and a database."""
    with ExitStack() as stack:
        port, disk = free_port(), root / "mx1"
        disk.mkdir()
        subprocess.run(("mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0755", "tmpfs", str(disk)), check=True)
        stack.callback(subprocess.run, ("umount", "--lazy", str(disk)), check=True)
        database = stack.enter_context(postgres())
        store = Store(database.url, migrate=True)
        store.open()
        store.close()
        (root / "plugins").mkdir()
        (root / "plugins" / "hung.py").write_text(_HUNG)
        (root / "plugins").chmod(0o755)
        shared = TAG_ALL + '[store]\nhost = "mx1"\n'
        first = stack.enter_context(milter_service(shared, milter="workers = 2\n"))
        second = stack.enter_context(
            milter_service(
                f'[plugins]\ndirectory = "{root}/plugins"\n[store]\nhost = "mx2"\nurl = "{database.url}"\n',
                milter="workers = 2\nhang_time = 1.0\n",
            )
        )
        (disk / "site").mkdir()
        settings: dict[str, object] = {
            "store.host": "mx1",
            "milter.hostname": "mx.example.org",
            "sidecar.metrics": f"127.0.0.1:{port}",
            "sidecar.set_aside_max": 6,
        }
        site = Site(disk / "site", "new", 2, **settings)
        (site.root / "state").rmdir()
        (site.root / "state").symlink_to(first.folder / "state")  # one state directory for all services of a host
        stack.callback(clean_up, site.root)
        site.start()
        stack.callback(site.stop)
        hosts = {
            "mx1": Host("mx1", first, site, Desk(site.write_config(), {})),
            "mx2": Host("mx2", second, None, Desk(second.config, {}), database),
        }
        stack.callback(_end, hosts)
        watch = _watched(stack, root, rules, {"mx1": (first.port, port), "mx2": (second.port, 0)})
        yield watch, hosts


def _watched(stack: ExitStack, root: Path, rules: dict[str, Rule], ports: dict[str, tuple[int, int]]) -> Watch:
    told, source = free_port(), free_port()
    folder = root / "alertmanager"
    folder.mkdir()
    config = folder / "alertmanager.yml"
    route = {"receiver": "nobody", "group_wait": "100ms", "group_interval": "1s", "group_by": ["..."]}
    config.write_text(json.dumps({"route": route, "receivers": [{"name": "nobody"}]}))
    alerts = stack.enter_context(server(alertmanager(told, folder, config), told, folder))
    folder = root / "prometheus"
    folder.mkdir()
    (folder / "rules.yml").write_text(json.dumps({"groups": [{"name": "forebay", "rules": quick(rules)}]}))
    (folder / "prometheus.yml").write_text(json.dumps(scraping(ports, told)))
    command = [*prometheus(source, folder), "--rules.alert.resend-delay=1s"]
    return Watch(stack.enter_context(server(command, source, folder)), alerts)


def quick(rules: dict[str, Rule]) -> list[dict[str, Any]]:
    """The rules in compressed time. The keeper reads fingerprints every 30 seconds, as ever."""
    made = []
    for each in rules.values():
        query = each.query if each.name == "ForebaySnapshotStale" else compressed(each.query)
        made.append(
            {
                "alert": each.name, "expr": query, "for": f"{int(each.seconds * 1000 / FACTOR)}ms",
                "labels": each.labels, "annotations": each.annotations,
            }
        )  # fmt: skip
    return made


def scraping(ports: dict[str, tuple[int, int]], told: int) -> dict[str, Any]:
    """As provisioning/prometheus.yml, with other ports and intervals."""
    jobs = [
        {
            "job_name": job,
            "static_configs": [
                {"targets": [f"127.0.0.1:{pair[number]}"], "labels": {"instance": name}}
                for name, pair in ports.items() if pair[number]
            ],
        }
        for number, job in enumerate(("forebay-milter", "forebay-sidecar"))
    ]  # fmt: skip
    pace = {"scrape_interval": f"{int(SCRAPE * 1000)}ms", "evaluation_interval": f"{int(SCRAPE * 1000)}ms"}
    return {
        "global": pace | {"scrape_timeout": pace["scrape_interval"]}, "rule_files": ["rules.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{told}"]}]}]},
        "scrape_configs": jobs,
    }  # fmt: skip


def _end(hosts: dict[str, Host]) -> None:
    for host in hosts.values():
        for each in host.more:
            each.terminate()
            each.wait(60)


def side_by_side(scripts: list[Callable[[], None]]) -> None:
    """Run them in threads, and wait for all."""
    threads = [threading.Thread(target=each) for each in scripts]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def empty_panels(watch: Watch, since: float) -> list[str]:
    """The panels that have nothing to show of any host."""
    titles = [panel["title"] for name in ("mail-gate", "router-guard") for panel in board(name)["panels"]]
    return [title for title in titles if not watch.values(title, ".*", since)]
