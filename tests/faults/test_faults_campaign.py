"""Everything is hurt at random under load, and every message that was sent is accounted for afterwards."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from faults.account_kit import Checker
from faults.faults_kit import FAULTS, Chronicle
from faults.sending_kit import KILLER, Load
from faults.whole_kit import whole
from forebay.store.hands import GRACE

if TYPE_CHECKING:
    import pytest

    from faults.account_kit import Account
    from faults.whole_kit import Whole

SEED: Final = int(os.environ.get("FOREBAY_FAULTS_SEED", "9"))
SECONDS: Final = float(
    os.environ.get("FOREBAY_FAULTS_SECONDS", "3600" if os.environ.get("FOREBAY_TESTS_LONG") else "0")
)
"""How long it goes on at least; every fault comes once at least."""
RATE: Final = 6.0
_CALM: Final = 1.0
_QUIET: Final = 180.0


def test_nothing_is_lost_whatever_is_hurt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message is delivered, refused with a reply, on hold or aside; who comes twice, a kill explains."""
    chance, chronicle = random.Random(SEED), Chronicle()
    with whole(monkeypatch) as system:
        with Load(lambda: system.port, RATE) as load:
            hurt(system, chronicle, chance)
            system.await_all()
            load.stop()
        await_quiet(system, load)
        account = Checker(system, load.sent, chronicle).account()
        told = Counter(chronicle.done)
        print(f"{len(load.sent)} messages, {sum(told.values())} faults of {len(told)} kinds (seed {SEED}): {account}")
        print(f"the slowest answer for good after {load.slowest:.1f} s")
        assert nothing_wrong(account), (
            account,
            account.missing,
            account.unchecked,
            account.unindexed,
            account.untraced,
        )
        assert {*told} == {*FAULTS}


def hurt(system: Whole, chronicle: Chronicle, chance: random.Random) -> None:
    """One fault after the other, each once, then at random; whatever has ended is started again."""
    until = time.monotonic() + SECONDS
    todo = [*FAULTS]
    chance.shuffle(todo)
    while todo or time.monotonic() < until:
        name = todo.pop() if todo else chance.choice([*FAULTS])
        began = time.monotonic()
        fault = FAULTS[name](system, chronicle, chance)
        for seconds in fault:
            time.sleep(seconds)
        chronicle.done.append(name)
        system.tend()
        time.sleep(chance.uniform(0.3, 1.0) * _CALM)
        print(f"{time.strftime('%H:%M:%S')} {name}: {time.monotonic() - began:.1f} s", flush=True)


def await_quiet(system: Whole, load: Load) -> None:
    """Wait until nothing is under way any more: what is left waits for a person."""
    began = time.monotonic()

    def killers() -> int:
        return sum(each.kind == KILLER and bool(each.queue_ids) for each in load.sent.values())

    def under_way() -> dict[str, int]:
        assert system.postfix
        held = system.desk.entries("--limit", "100000")
        found = {
            "queued": sum(each["queue_name"] != "hold" for each in system.postfix.queue()),
            "in the spool": len(system.site.waiting()),
            "withheld": int((system.site.status() or {}).get("withheld", 0)),
            "announced": sum(each["state"] == "announced" for each in held),
            "not aside": max(0, killers() - len(list(system.site.aside.glob("*.msg")))),
        }
        return {name: number for name, number in found.items() if number}

    while left := under_way():
        # Who was killed between a record and its answer has left an entry whose message never comes.
        most = _QUIET + GRACE if left.keys() == {"announced"} else _QUIET
        assert time.monotonic() - began < most, (left, system.told(), system.site.status())
        system.tend()
        time.sleep(0.5)


def nothing_wrong(account: Account) -> bool:
    """Whether every message is where it may be, and known to be there."""
    return not (account.missing or account.unchecked or account.unindexed or account.untraced)
