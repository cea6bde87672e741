"""A quarantine is written down first, or it does not happen."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from forebay.config import Config
from forebay.judge.fingerprints import load_judge_and_matcher, read
from forebay.message.envelope import Envelope
from forebay.records import Records
from forebay.store import fingerprints
from forebay.store.engine import Store
from forebay.store.schema import ENTRY
from forebay.testing import MilterService, milter_service
from forebay.testing.message import Message
from mta.private_site import processes

if TYPE_CHECKING:
    from collections.abc import Callable

    from forebay.records import Record

EVIL = Message.parse(
    b"From: jane@example.org\nTo: joe@@example.com\nDate: Tue, 25 Nov 2025 10:00:00 +0000\n"
    b"Message-ID: <1@example.org>\nSubject: \xff\x1b hello\n"
)
GOOD = Message.parse(
    b"From: jane@example.org\nTo: joe@example.com\nDate: Tue, 25 Nov 2025 10:00:00 +0000\n"
    b"Message-ID: <2@example.org>\nSubject: hello\n"
)


def wait(holds: Callable[[], bool], service: MilterService) -> None:
    """Until it is so."""
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until, service.log()
        time.sleep(0.02)


def kept(service: MilterService) -> list[Record]:
    """The records that were taken into the store."""
    records = Records(Path(service.folder, "state/records"))
    return [records.read(each, "kept") for each in records.kept()]


def test_the_record_says_what_was_seen() -> None:
    """Header, envelope, findings and both fingerprints, byte for byte."""
    with milter_service() as service:
        with service.client() as client:
            assert client.send(EVIL, "QID").action.word == "quarantine"
        wait(lambda: len(kept(service)) == 1, service)
        (record,) = kept(service)
        assert (record.queue_id, record.sender, record.recipients) == ("QID", EVIL.sender, EVIL.recipients)
        assert record.header == EVIL.fields
        assert "address-multiple-at" in [each.id for each in record.findings]
        matcher = load_judge_and_matcher(Config())[1]
        both = matcher.digests(EVIL.fields, Envelope(EVIL.sender, EVIL.recipients, EVIL.client))
        assert [record.exact, record.shape] == [(each or b"").hex() for each in both]


def test_what_cannot_be_written_down_is_not_held() -> None:
    """Without the directory the answer is a temporary error; when it is back, messages are held again."""
    with milter_service() as service:
        folder = Path(service.folder, "state/records/tmp")
        shutil.rmtree(folder)
        assert service.send(EVIL).reply.startswith("451")
        folder.mkdir()
        assert service.send(EVIL).action.word == "quarantine"


def test_above_the_quota_nothing_more_is_held() -> None:
    """What would be held is deferred, good mail goes on, and one line in the log says so."""
    with milter_service("[quarantine]\nquota = 300\n") as service:
        for _ in range(4):
            service.send(EVIL)
        wait(
            lambda: service.send(EVIL).reply == "451 4.3.1 the quarantine of this host is full; try again later",
            service,
        )
        assert service.send(GOOD).action.word == "accept"
        assert service.log().count("the quarantine is full") == 1
        assert service.metrics()["forebay_quarantine_full"] == 1


def test_a_damaged_record_is_left_and_told(tmp_path: Path) -> None:
    """It holds up no other, and is named in the log once."""
    with milter_service() as service:
        new = Path(service.folder, "state/records/new")
        (new / ("0" * 20)).write_text("{}")
        service.send(EVIL)
        wait(lambda: len(kept(service)) == 1, service)
        assert service.log().count(f"record {'0' * 20} is left") == 1
        wait(lambda: service.metrics()['forebay_store_intake_total{record="damaged"}'] == 1, service)


def test_a_lost_store_is_made_again_from_the_records() -> None:
    """After the file was removed, and the milter started again, what waits is in the index as before."""
    with milter_service() as again:
        again.send(EVIL)
        wait(lambda: len(kept(again)) == 1, again)
        for each in Path(again.folder, "state").glob("store.db*"):
            each.unlink()
        (keeper,) = processes(again, "keeper")
        os.kill(keeper.pid, signal.SIGKILL)
        store = Store(f"sqlite:///{again.folder}/state/store.db")

        def listed() -> list[str]:
            with store.read() as db:
                return list(db.execute(sa.select(ENTRY.c.id)).scalars())

        wait(lambda: listed() == [each.id for each in kept(again)] != [], again)
        store.close()


def test_hits_are_counted_whatever_is_done_with_them() -> None:
    """A match that is only tagged counts in the store as one that is held."""
    with milter_service('[fingerprints]\naction = "tag"\n') as service:
        matcher = load_judge_and_matcher(Config())[1]
        digest = matcher.digests(GOOD.fields, Envelope(GOOD.sender, GOOD.recipients))[0]
        assert digest
        store = Store(f"sqlite:///{service.folder}/state/store.db")
        with store.write() as db:
            fingerprints.publish(db, fingerprints.New(digest.hex(), "exact", "crash", "a"), 3600, 0)
        wait(lambda: service.send(GOOD).action.word == "tag", service)
        # One worker may know of it a moment before another.
        tagged = 1 + sum(service.send(GOOD).action.word == "tag" for _ in range(20))
        assert tagged > 1

        def hits() -> int:
            with store.read() as db:
                return fingerprints.get(db, digest.hex()).hits

        wait(lambda: hits() == tagged, service)
        assert service.metrics()["forebay_fingerprint_hits_total"] == tagged
        known = json.loads(Path(service.folder, "state/fingerprints.json").read_text())
        assert known["fingerprints"][0][:2] == [digest.hex(), "exact"]
        store.close()


def test_what_is_known_stays_known_without_a_store() -> None:
    """Fingerprints outlive a restart of the milter whose store cannot be reached; records pile up."""
    with milter_service('[store]\nurl = "postgresql+psycopg://nobody@127.0.0.1:1/x"\n') as service:
        for _ in range(3):
            assert service.send(EVIL).action.word == "quarantine"
        assert len(list(Path(service.folder, "state/records/new").iterdir())) == 3
        wait(lambda: "mail goes on, but the store does not" in service.log(), service)


def test_no_more_copies_than_suspend_after_are_held_by_all_workers_together() -> None:
    """200 readers of a replayed newsletter, over four workers at once: 20 wait, 180 go on; added again, it begins anew."""
    with milter_service(milter="workers = 4\n") as service:
        matcher = load_judge_and_matcher(Config())[1]
        digest = (matcher.digests(GOOD.fields, Envelope(GOOD.sender, GOOD.recipients))[0] or b"").hex()
        store = Store(f"sqlite:///{service.folder}/state/store.db")
        for person in ("forebay", "ann"):
            with store.write() as db:
                fingerprints.publish(db, fingerprints.New(digest, "exact", "crash", "a", person=person), 3600, 0)
            first = Message(GOOD.fields, sender=GOOD.sender, recipients=(b"<first@example.com>",))
            wait(lambda first=first: service.send(first).action.word == "quarantine", service)  # type: ignore[misc]  # a default binds it
            with ThreadPoolExecutor(8) as senders:
                held = sum(senders.map(lambda number: is_held(service, number), range(199)))
            most = Config().fingerprints.suspend_after - 1
            assert most - 8 <= held <= most  # two that are counted at once may both see the count of both
            wait(lambda: is_suspended(store, digest), service)
            wait(lambda: not read(Path(service.folder, "state")).exact, service)
        store.close()


def is_held(service: MilterService, number: int) -> bool:
    """Whether the copy for one more reader is held."""
    copy = Message(GOOD.fields, sender=GOOD.sender, recipients=(b"<reader%d@example.com>" % number,))
    return service.send(copy).action.word == "quarantine"


def is_suspended(store: Store, digest: str) -> bool:
    """Whether no host matches it any more."""
    with store.read() as db:
        return fingerprints.get(db, digest).state == "suspended"
