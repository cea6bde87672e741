"""The store's second version: passes, and how a store of the first one comes to have them."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest
import sqlalchemy as sa

from forebay.errors import StoreVersionError
from forebay.records import new_id
from forebay.sidecar.journal import Journal
from forebay.store import changes, engine, fingerprints, migrate, passes
from forebay.store.engine import Store
from forebay.store.follow import follower
from forebay.store.schema import AUDIT, FINGERPRINT, PASS

if TYPE_CHECKING:
    from pathlib import Path

    from fleet.postgres_kit import Postgres


def older(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a store as the first version did, with an entry in it."""
    with monkeypatch.context() as patched:
        for each in (migrate, engine):
            patched.setattr(each, "HEAD", "0001")
        store = Store(url, migrate=True)
        with store.write() as db:
            changes.audit(db, "ann", "a", "made", "before")
            assert "pass" not in sa.inspect(db).get_table_names()
        store.close()


def test_a_store_of_the_first_version_is_refused_and_upgraded_by_command(
    server: Postgres, fleet_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL belongs to many hosts: the command says when; what is in it stays, and changes are told of."""
    fleet_store.close()
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    older(server.url, monkeypatch)
    with pytest.raises(
        StoreVersionError, match=r"is of version 0001, and 0002 is needed: .* type: forebay store migrate"
    ):
        Store(server.url).open()
    with closing(Store(server.url, migrate=True)) as upgrading:
        upgrading.open()
    check_upgraded(Store(server.url))
    following = follower(server.url, lambda: None)
    try:
        while not following.changed():
            time.sleep(0.01)
        with closing(Store(server.url)) as store, store.write() as db:
            passes.give(db, "x" * 18, "a", "a" * 32)
        until = time.monotonic() + 30
        while not following.changed():
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        following.close()


def test_an_sqlite_store_of_the_first_version_is_upgraded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It belongs to one host, whose next program upgrades it when it opens it; what is in it stays."""
    url = f"sqlite:///{tmp_path}/store.db"
    older(url, monkeypatch)
    check_upgraded(Store(url))


def check_upgraded(store: Store) -> None:
    """It has what was in it, and what is new."""
    with store.read() as db:
        assert [row.subject for row in db.execute(sa.select(AUDIT))] == ["before"]
        assert passes.given(db, "a", 0.0) == []
    store.close()


def test_a_hostile_row_is_no_fingerprint(any_store: Store) -> None:
    """What is not the digits of a digest is neither matched nor dropped, and stops nobody who follows the store."""
    with any_store.write() as db:
        for number, digest in enumerate(("a" * 32, "../../x", "z" * 32, "b" * 32, "")):
            fingerprints.publish(db, fingerprints.New(digest, "shape", "crash", "a"), 3600, 0)
            if number > 1:
                db.execute(FINGERPRINT.update().where(FINGERPRINT.c.digest == digest).values(state="revoked"))
    with any_store.read() as db:
        assert [each.digest for each in fingerprints.live(db, time.time())] == ["a" * 32]
        assert fingerprints.dropped(db, time.time()) == ["b" * 32]


def test_a_pass_is_of_a_known_form_and_expires(any_store: Store) -> None:
    """A row that somebody else has written becomes no file of another name; a pass ends, and one of an entry is one."""
    now, entry = time.time(), new_id(time.time())
    with any_store.write() as db:
        for _ in range(2):
            passes.give(db, entry, "a", "a" * 32)
        for bad, exact in (
            ("../../etc/x", "b" * 32),
            (new_id(now), "../" * 9),
            (new_id(now), "A" * 32),
            ("", "c" * 32),
        ):
            passes.give(db, bad, "a", exact)
    with any_store.read() as db:
        assert passes.given(db, "a", now) == [("a" * 32, entry, True)]
        assert passes.given(db, "b", now) == [("a" * 32, entry, False)]
        assert passes.given(db, "a", now + passes.LIFE + 60) == []
    with any_store.write() as db:
        passes.forget(db, now + passes.LIFE + 60)
        assert db.execute(sa.select(PASS)).first() is None


def test_what_is_let_go_is_told_from_the_journal_as_long_as_it_counts(tmp_path: Path) -> None:
    """A release that is asked for, or was made lately, of a message that can be known again; a refused or old one is not."""
    journal, now = Journal(tmp_path), 1_000_000.0
    made = [("asked", "aside", b"1"), ("made", "released", b"2"), ("old", "released", b"3"), ("blank", "aside", None),
            ("refused", "aside", b"4")]  # fmt: skip
    with journal.change() as db:
        for entry, state, exact in made:
            db.execute(
                "INSERT INTO entry VALUES (?, ?, '', '', '', ?, '', '', 0, 0, '', ?, NULL)",
                (entry, entry.encode(), state, exact),
            )
        for entry, at in (("made", now - 5), ("old", now - 60)):
            db.execute("INSERT INTO pass VALUES (?, ?, ?)", (entry.encode(), entry, at))
        db.execute("INSERT INTO pass VALUES (x'00', 'of an MTA', ?)", (now - 1,))
        for entry, kind, outcome in (
            ("asked", "release", ""), ("blank", "release", ""), ("refused", "release", "it is gone"),
            ("refused", "delete", ""), ("", "reset", ""),
        ):  # fmt: skip
            db.execute(
                "INSERT INTO request (kind, entry, person, at, outcome) VALUES (?, ?, 'ann', ?, ?)",
                (kind, entry, now - 2, outcome),
            )
    assert journal.let_go(now - 30) == [("made", now - 5, b"2"), ("asked", now - 2, b"1")]
    journal.close()
