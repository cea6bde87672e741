"""A guarded Postfix delivers through programs that are setgid: what guards it must not take that from its children."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from forebay.quickstart.private_postfix import private_folder
from mta.installed_postfix import SETTINGS, installed
from mta.postfix_router_kit import evil, guarded
from sidecar.sidecar_kit import groups

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

RESEND: Final = """\
#!/bin/sh
cat /proc/self/cgroup >"{place}/groups/$1.$$"
exec {barred} /usr/sbin/sendmail -i -f jane@example.org joe@example.com
"""
"""Sends a message once more, with sendmail(1), which runs postdrop, which is setgid: nobody else may write into maildrop."""

BARRED: Final = "setpriv --no-new-privs"
SERVICES: Final = """\
local unix - n n - - local
again unix - n n - 5 pipe flags= user=games argv={place}/again pipe
barred unix - n n - 5 pipe flags= user=games argv={place}/barred barred
"""


def test_setgid_programs_run_under_the_guard() -> None:
    """What pipe and local start for a user may become setgid, in the group where it is guarded; and where that is taken
    from it, as NoNewPrivileges of a unit would, its message stays where it is.
    """
    with private_folder() as place, installed(place) as where:
        (place / "groups").mkdir()
        (place / "groups").chmod(0o1777)
        for name, barred in (("again", ""), ("barred", BARRED)):
            (place / name).write_text(RESEND.format(place=place, barred=barred))
            (place / name).chmod(0o755)
        settings = {
            **SETTINGS, "mydestination": "local.example", "alias_maps": f"inline:{{ {{ joe = |{place}/again }} }}",
            "transport_maps": "inline:{ pipe.example=again, barred.example=barred }",
        }  # fmt: skip
        with guarded(settings, SERVICES.format(place=place), "", tree=where.tree) as postfix:
            # postdrop believes what names a configuration only if that of the default instance does.
            main = f"alternate_config_directories = {postfix.folder}/etc"
            where.run("sh", "-c", f'echo "{main}" >/etc/postfix/main.cf; touch -d "1 minute ago" /etc/postfix/main.cf')
            barred_one = postfix.send(evil("", "barred"), b"<joe@barred.example>")
            postfix.wait(lambda: list((place / "groups").glob("barred.*")))
            for name in ("pipe", "local"):
                postfix.send(evil("", name), b"<joe@%b.example>" % name.encode())
            postfix.wait(lambda: postfix.names() == ["local", "pipe"])
            postfix.wait(lambda: [each["queue_id"] for each in postfix.queue()] == [barred_one])
            assert (postfix.strikes(), postfix.entries()) == ({}, [])
            assert all(under(postfix.folder, (place / "groups").iterdir())), postfix.told()


def under(folder: Path, files: Iterable[Path]) -> list[bool]:
    """Of each, whether it tells of a group of the guard's."""
    bases = [base.name for base in groups(folder)]
    return [any(f"/{base}/" in file.read_text() for base in bases) for file in files]
