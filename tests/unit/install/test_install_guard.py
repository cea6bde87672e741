"""`forebay install --guard`: the drop-in by which a router's unit is started inside the router's group."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from forebay.cli.dropin import NAME, cgroup
from forebay.cli.main import run

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = "/opt/forebay/bin/forebay"
LAUNCH = f"{PROGRAM} sidecar --launch --"
# As Debian 12 has it, cut.
POSTFIX = """\
[Unit]
Description=Postfix Mail Transport Agent (instance %i)
[Service]
Type=forking
ExecStartPre=/usr/lib/postfix/configure-instance.sh %i
ExecStart=/usr/sbin/postmulti -i %i -p start
ExecStop=/usr/sbin/postmulti -i %i -p stop
"""
# What systemd makes of a script in /etc/init.d.
SENDMAIL = "[Service]\nType=forking\nExecStart=/etc/init.d/sendmail start\nExecStop=/etc/init.d/sendmail stop\n"


def write(host: Path, place: str, text: str) -> None:
    """A file of the host's."""
    (host / place).parent.mkdir(parents=True, exist_ok=True)
    (host / place).write_text(text)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """The root of a host that has both MTAs, and an empty unit."""
    write(tmp_path, "lib/systemd/system/postfix@.service", POSTFIX)
    write(tmp_path, "run/systemd/generator.late/sendmail.service", SENDMAIL)
    write(tmp_path, "usr/lib/systemd/system/empty.service", "[Service]\nType=oneshot\n")
    return tmp_path


def install(host: Path, *more: str) -> int:
    """Run the command on that host."""
    return run(["install", "--root", str(host), "--program", PROGRAM, *more])


def starts(host: Path, unit: str) -> list[str]:
    """What the drop-in has for ExecStart."""
    lines = (host / f"etc/systemd/system/{unit}.d" / NAME).read_text().splitlines()
    return [each.removeprefix("ExecStart=") for each in lines if each.startswith("ExecStart=")]


@pytest.mark.parametrize(
    ("unit", "command"),
    [
        ("postfix@-.service", "/usr/sbin/postmulti -i %i -p start"),
        ("postfix@.service", "/usr/sbin/postmulti -i %i -p start"),
        ("sendmail.service", "/etc/init.d/sendmail start"),
    ],
)
def test_what_was_started_is_started_by_the_launcher(host: Path, unit: str, command: str) -> None:
    """And nothing else of the unit changes but what the launcher needs."""
    assert install(host, "--guard", unit) == os.EX_OK
    assert starts(host, unit) == ["", f"{LAUNCH} {command}"]
    text = (host / f"etc/systemd/system/{unit}.d" / NAME).read_text()
    settings = {each.partition("=")[0] for each in text.splitlines() if "=" in each and not each.startswith("#")}
    assert settings == {"Delegate", "OOMPolicy", "ManagedOOMMemoryPressure", "ProtectControlGroups", "ExecStart"}
    assert f'[router] cgroup = "{cgroup(unit)}"' in text


def test_without_guard_no_unit_of_others_is_touched(host: Path) -> None:
    """Who wants the milter alone gets no drop-in."""
    install(host)
    assert not list(host.rglob(f"*.d/{NAME}"))


def test_an_administrators_own_command_is_kept(host: Path) -> None:
    """His drop-in resets ExecStart: what he starts is what the launcher starts, prefixes and all."""
    own = "[Service]\nExecStart=\nExecStart=-/usr/local/sbin/start-postfix \\\n  --fast\n"
    write(host, "etc/systemd/system/postfix@-.service.d/override.conf", own)
    write(host, "etc/systemd/system/postfix@.service.d/limits.conf", "[Service]\nLimitNOFILE=4096\n")
    install(host, "--guard", "postfix@-.service")
    assert [" ".join(each.split()) for each in starts(host, "postfix@-.service")] == [
        "",
        f"-{LAUNCH} /usr/local/sbin/start-postfix --fast",
    ]


def test_a_later_run_takes_up_what_a_package_has_changed(host: Path) -> None:
    """Without saying --guard again; an edited drop-in stays."""
    install(host, "--guard", "sendmail.service")
    write(host, "usr/lib/systemd/system/sendmail.service", "[Service]\nExecStart=/usr/sbin/sendmail -bd\n")
    install(host)
    assert starts(host, "sendmail.service") == ["", f"{LAUNCH} /usr/sbin/sendmail -bd"]
    drop_in = host / "etc/systemd/system/sendmail.service.d" / NAME
    drop_in.write_text(drop_in.read_text() + "# mine\n")
    write(host, "usr/lib/systemd/system/sendmail.service", "[Service]\nExecStart=/usr/sbin/sendmail -bD\n")
    install(host)
    assert drop_in.read_text().endswith("# mine\n")
    assert "-bD" in drop_in.with_name(f"{NAME}.new").read_text()


@pytest.mark.parametrize("unit", ["nobody.service", "empty.service", "../x.service", "postfix", "a b.service"])
def test_a_unit_that_cannot_be_wrapped_is_refused(host: Path, unit: str) -> None:
    """Usage, and nothing is written."""
    before = sorted(host.rglob("*"))
    assert install(host, "--guard", unit) == os.EX_USAGE
    assert sorted(host.rglob("*")) == before


def test_a_drop_in_is_taken_back(host: Path) -> None:
    """Alone with --guard, else with everything; the folder too, unless others use it."""
    write(host, "etc/systemd/system/postfix@-.service.d/limits.conf", "[Service]\nLimitNOFILE=4096\n")
    install(host, "--guard", "postfix@-.service", "--guard", "sendmail.service")
    install(host, "--remove", "--guard", "sendmail.service")
    assert not (host / "etc/systemd/system/sendmail.service.d").exists()
    assert (host / "etc/systemd/system/forebay-milter.service").exists()
    install(host, "--remove")
    assert [each.name for each in (host / "etc/systemd/system").rglob("*") if each.is_file()] == ["limits.conf"]


@pytest.mark.parametrize(
    ("unit", "group"),
    [
        ("zmailer.service", "/system.slice/zmailer.service"),
        ("postfix@-.service", "/system.slice/system-postfix.slice/postfix@-.service"),
        ("my-mta@a.service", "/system.slice/system-my\\x2dmta.slice/my-mta@a.service"),
    ],
)
def test_the_group_is_where_systemd_puts_it(unit: str, group: str) -> None:
    """Instances share a slice, whose name has its dashes escaped."""
    assert cgroup(unit) == group
