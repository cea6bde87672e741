"""Who reads what: the journal is the sidecar's alone, the store belongs to the milter's user."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import sqlalchemy as sa

from forebay import config as configuration
from forebay.sidecar.clerk import mirror_turns
from forebay.sidecar.journal import Journal
from forebay.store.engine import Store
from forebay.store.schema import STRIKE

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = 65534


def test_the_store_hears_of_strikes_though_its_user_may_not_read_the_journal(tmp_path: Path) -> None:
    """As installed: the journal's directory is root's and closed, the store's is another user's."""
    state, private, file = tmp_path / "state", tmp_path / "private", tmp_path / "forebay.toml"
    file.write_text(f'[milter]\nstate = "{state}"\n[sidecar]\nstate = "{private}"\n')
    config = configuration.load(str(file))
    private.mkdir(mode=0o700)
    state.mkdir(mode=0o700)
    with Store.of(config).read():
        pass  # made, and everything imported, while every file of this Python can be read
    if os.geteuid() == 0:
        for each in (tmp_path, *tmp_path.parents):
            each.chmod(each.stat().st_mode | 0o011)
        for each in (state, *state.iterdir()):
            os.chown(each, NOBODY, NOBODY)
    journal = Journal(private)
    strike = (
        "INSERT INTO strike (identity, cause, confidence, at, evidence) VALUES (x'01', 'crash', 'certain', 1, '{}')"
    )
    turn = mirror_turns(config)
    for number in (1, 2):
        with journal.change() as db:
            db.execute(strike)
        turn()
        with Store.of(config).read() as told:
            assert told.execute(sa.select(sa.func.count()).select_from(STRIKE)).scalar() == number
    journal.close()
