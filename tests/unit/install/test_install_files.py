"""`forebay install`: what it writes, what it leaves alone, and whether systemd takes it."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from forebay import config as configuration
from forebay.cli.install import make_accounts
from forebay.cli.installing import CONFIG, PLACES, SHARE
from forebay.cli.main import run
from forebay.cli.manual import PAGES
from forebay.quickstart.debs import unpack

CACHE = Path(__file__).resolve().parents[3] / ".cache"
PROGRAM = "/opt/forebay/bin/forebay"
MANUAL = [f"{SHARE}/{each}" for each in PAGES.values()]
FILES = [*PLACES.values(), CONFIG, *MANUAL]
UNIT = PLACES["forebay-milter.service.in"]
SIDECAR = PLACES["forebay-sidecar.service.in"]
UNITS = [each for each in PLACES.values() if "/systemd/" in each]


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """The root of a host that has Postfix's accounts."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/group").write_text("root:x:0:\npostfix:x:105:\n")
    (tmp_path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    return tmp_path


def install(host: Path, *more: str) -> int:
    """Run the command on that host."""
    return run(["install", "--root", str(host), "--program", PROGRAM, *more])


def tree(host: Path) -> dict[str, bytes]:
    """All files of a host with what is in them."""
    return {str(each.relative_to(host)): each.read_bytes() for each in host.rglob("*") if each.is_file()}


def test_what_it_writes(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Units, user, directories, manual pages and the configuration; each readable for all, and told."""
    before = set(tree(host))
    assert install(host) == os.EX_OK
    assert set(tree(host)) - before == set(FILES)
    assert capsys.readouterr().out.splitlines() == [f"wrote {host / each}" for each in FILES]
    assert {(host / each).stat().st_mode & 0o777 for each in FILES} == {0o644}


def test_the_service_can_read_it_whatever_the_umask(host: Path) -> None:
    """Directories that were missing as well."""
    mask = os.umask(0o077)
    try:
        install(host)
    finally:
        os.umask(mask)
    made = {each.parent for each in map(host.joinpath, FILES)}
    assert {each.stat().st_mode & 0o777 for each in made} == {0o755}
    assert {(host / each).stat().st_mode & 0o777 for each in FILES} == {0o644}


def test_a_dry_run_shows_all_and_writes_nothing(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it shows is what it would write."""
    before = tree(host)
    assert install(host, "--dry-run") == os.EX_OK
    shown = capsys.readouterr().out
    assert tree(host) == before
    install(host)
    for each in MANUAL:
        assert f"would write {host / each} (a manual page)\n" in shown
    for each in FILES[: -len(MANUAL)]:
        assert f"would write {host / each}\n" in shown
        lines = (host / each).read_text().splitlines()
        assert "\n".join(f"    {line}" for line in lines) in shown


def test_a_second_run_has_nothing_to_do(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even the times of the files change."""
    install(host)
    before = {each: (host / each).stat().st_mtime_ns for each in FILES}
    capsys.readouterr()
    assert install(host) == os.EX_OK
    assert capsys.readouterr().out.splitlines() == [f"unchanged {host / each}" for each in FILES]
    assert {each: (host / each).stat().st_mtime_ns for each in FILES} == before
    assert not list(host.rglob("*.new"))


@pytest.mark.parametrize("each", FILES)
@pytest.mark.parametrize(
    "edit",
    [
        lambda old: old + b"# mine\n",
        lambda old: old.replace(b"\n", b"\n# mine\n", 1),
        lambda old: b"",
        lambda old: b"\xff",
    ],
    ids=["appended", "inserted", "emptied", "bytes"],
)
def test_an_edited_file_is_never_overwritten(host: Path, each: str, edit: Any) -> None:
    """The new version is written beside it, and the next run has nothing to do again."""
    install(host)
    ours = (host / each).read_bytes()
    theirs = edit(ours)
    (host / each).write_bytes(theirs)
    for _ in range(2):
        assert install(host) == os.EX_OK
        assert (host / each).read_bytes() == theirs
        assert (host / f"{each}.new").read_bytes() == ours
        assert len(list(host.rglob("*.new"))) == 1


def test_a_file_of_before_that_nobody_edited_is_replaced(host: Path) -> None:
    """After an upgrade, or when the program moves."""
    run(["install", "--root", str(host), "--program", "/usr/local/bin/forebay"])
    install(host)
    assert f"ExecStart={PROGRAM} milter" in (host / UNIT).read_text()
    assert not list(host.rglob("*.new"))


def test_a_link_is_left_alone(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A unit that is masked stays so, and nothing is written through the link."""
    (host / UNIT).parent.mkdir(parents=True)
    (host / UNIT).symlink_to(os.devnull)
    install(host)
    assert (host / UNIT).readlink() == Path(os.devnull)
    assert (host / f"{UNIT}.new").is_file()
    assert f"({host / UNIT} was edited and stays)" in capsys.readouterr().out


def test_remove_takes_back_what_was_not_edited(host: Path) -> None:
    """An edited file is kept; whoever removes twice removes nothing more."""
    before = tree(host)
    install(host)
    (host / CONFIG).write_text("[milter]\n")
    assert install(host, "--remove", "--dry-run") == os.EX_OK
    assert len(tree(host)) == len(before) + len(FILES)
    for _ in range(2):
        assert install(host, "--remove") == os.EX_OK
        assert tree(host) == before | {CONFIG: b"[milter]\n"}


def test_without_postfix_nothing_is_said_of_it(host: Path) -> None:
    """A unit with a group that does not exist would not start."""
    (host / "etc/group").write_text("root:x:0:\n")
    install(host)
    assert "SupplementaryGroups" not in (host / UNIT).read_text()
    assert "postfix" not in (host / PLACES["tmpfiles.conf.in"]).read_text()
    # It comes by itself when Postfix is there.
    (host / "etc/group").write_text("postfix:x:105:\n")
    install(host)
    assert "\nSupplementaryGroups=postfix\n" in (host / UNIT).read_text()
    assert "\nd /var/spool/postfix/forebay 0750 forebay postfix -\n" in (host / PLACES["tmpfiles.conf.in"]).read_text()


def test_the_example_is_a_configuration_of_defaults(host: Path) -> None:
    """As it is, and with every # before a setting taken away; every setting is in it."""
    install(host)
    text = (host / CONFIG).read_text()
    plain = configuration.Config()
    assert configuration.settings(configuration.load(str(host / CONFIG))) == configuration.settings(plain)
    opened = host / "opened.toml"
    opened.write_text(re.sub(r"^#(?=[a-z_]+ = )", "", text, flags=re.MULTILINE).replace("#[validators", "[validators"))
    of_the_host: dict[str, Any] = {"milter.hostname": "mx.example.org", "milter.socket_group": "postfix"}
    settings = configuration.settings(plain) | of_the_host
    assert configuration.settings(configuration.load(str(opened))) == settings
    said = tomllib.loads(opened.read_text())
    for place in settings:
        level = said
        for part in place.split("."):
            level = level[part]


@pytest.mark.parametrize("program", ["forebay", "/opt/a b/forebay", "/opt/100%/forebay", "/opt/x\nUser=root"])
def test_a_path_that_systemd_would_read_otherwise_is_refused(host: Path, program: str) -> None:
    """Usage, and nothing is written."""
    before = tree(host)
    assert run(["install", "--root", str(host), "--program", program]) == os.EX_USAGE
    assert tree(host) == before


def test_a_program_that_the_unit_cannot_see_is_told(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """ProtectHome hides a checkout in somebody's home."""
    run(["install", "--root", str(host), "--program", "/root/forebay/.venv/bin/forebay"])
    assert "the unit does not see /home, /root and /tmp" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, with the path."""
    (tmp_path / "etc").write_text("a file\n")
    assert install(tmp_path) == os.EX_IOERR
    assert "etc/systemd/system" in capsys.readouterr().err


def write_unit(host: Path, name: str, service: str) -> None:
    """A unit of somebody else's."""
    place = host / "etc/systemd/system" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"[Unit]\nDescription=x\n[Service]\n{service}\n[Install]\nWantedBy=multi-user.target\n")


def systemd(tool: str) -> str:
    """One of systemd's programs: the host's, else Debian's, unpacked."""
    return shutil.which(tool) or str(unpack("systemd", CACHE) / "usr/bin" / tool)


@pytest.mark.parametrize("has_postfix", [True, False])
def test_systemd_accepts_the_units(host: Path, has_postfix: bool) -> None:
    """Without a word: every name and every value is one that it knows; a drop-in's too."""
    if not has_postfix:
        (host / "etc/group").write_text("root:x:0:\n")
    program = str(Path(sys.executable))  # verify wants one that exists
    write_unit(host, "router.service", f"ExecStart={program} -c pass")
    run(["install", "--root", str(host), "--program", program, "--guard", "router.service"])
    units = [str(host / each) for each in (*UNITS, "etc/systemd/system/router.service")]
    command = (systemd("systemd-analyze"), "verify", "--man=no", "--recursive-errors=no", *units)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_rates_the_unit_as_well_confined(host: Path) -> None:
    """By its own points, from 0 to 10 for how much a service is exposed: 2.0 at most."""
    install(host)
    command = (
        systemd("systemd-analyze"),
        "security",
        "--offline=yes",
        "--no-pager",
        "--threshold=20",
        str(host / UNIT),
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


def test_systemd_makes_the_user_and_the_directories(host: Path) -> None:
    """Below a root of ours: the account, its group, and the state directory that nobody else may read."""
    install(host)
    (host / "var/spool/postfix").mkdir(parents=True)
    make_accounts(host)
    (line,) = [each for each in (host / "etc/passwd").read_text().splitlines() if each.startswith("forebay:")]
    assert line.split(":")[4:] == ["forebay milter", "/var/lib/forebay", "/usr/sbin/nologin"]
    assert "\nforebay:x:" in (host / "etc/group").read_text()
    state = (host / "var/lib/forebay").stat()
    assert (state.st_mode & 0o777, state.st_uid) == (0o700, int(line.split(":")[2]))
    assert (host / "var/spool/postfix/forebay").stat().st_mode & 0o777 == 0o750


def unit(path: Path) -> configparser.SectionProxy:
    """The section Service of a unit."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # systemd's names have capitals
    parser.read(path)
    return parser["Service"]


def test_the_sidecars_unit_fits_it(host: Path) -> None:
    """It may act on every router, dies with none of its workers, and has its own directory."""
    install(host)
    service, plain = unit(host / SIDECAR), configuration.Config()
    assert service["ExecStart"] == f"{PROGRAM} sidecar"
    assert f"/var/lib/{service['StateDirectory']}" == str(plain.private_state)
    assert (service["Type"], service["OOMPolicy"], service["Delegate"]) == ("notify", "continue", "memory pids")
    assert not {"User", "NoNewPrivileges", "CapabilityBoundingSet", "ProtectSystem"} & set(service)
    assert service["ExecReload"].split()[:2] == ["/bin/kill", "-HUP"]


def test_a_removal_tells_what_it_leaves(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """State and quarantine are nobody's to delete but a person's; new versions beside edited files go."""
    install(host)
    (host / CONFIG).write_text("[milter]\n")
    install(host)
    (host / "var/lib/forebay").mkdir(parents=True)
    capsys.readouterr()
    install(host, "--remove")
    said = capsys.readouterr().out
    assert f"kept {host / CONFIG} (it was edited)" in said
    assert f"kept {host / 'var/lib/forebay'} (what was quarantined, and what is known of it)" in said
    assert f"removed {host / CONFIG}.new" in said


def test_the_unit_fits_the_program(host: Path) -> None:
    """It starts the command, has the directories that are the defaults, waits long enough, and has files enough."""
    install(host)
    service, defaults = unit(host / UNIT), configuration.Config().milter
    assert service["ExecStart"] == f"{PROGRAM} milter"
    assert service["User"] == defaults.user
    assert f"/run/{service['RuntimeDirectory']}" == defaults.runtime
    assert f"/var/lib/{service['StateDirectory']}" == defaults.state
    assert Path(defaults.listen.removeprefix("unix:")).parent == Path(defaults.runtime)
    assert float(service["TimeoutStopSec"]) > defaults.drain_time + 10
    assert int(service["LimitNOFILE"]) > 4 * defaults.max_connections
    assert str(os.EX_CONFIG) in service["RestartPreventExitStatus"].split()
    assert service["ExecReload"].split()[:2] == ["/bin/kill", "-HUP"]
