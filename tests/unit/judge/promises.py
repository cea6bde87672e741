"""What recognisers and scanners promise the judge, of any value: checked by hypothesis, and by the fuzzer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forebay.judge.quick import ADDRESS_UNITS, RECOGNISED_AT_MOST
from forebay.message import rfc5322_address
from forebay.message.field import AUTHOR, Field
from forebay.message.grammars import GRAMMARS
from forebay.message.kinds import DEFECTS, MEASURES
from forebay.message.measures import ADDRESS_NAMES

if TYPE_CHECKING:
    from forebay.message.diagnosis import Diagnosis


def check(diagnosis: Diagnosis, size: int) -> None:
    """Every defect and measure is a known one, in its place."""
    for defect in diagnosis.defects:
        assert defect.kind in DEFECTS
        assert 0 <= defect.start <= defect.end <= size, defect
        assert defect.text.isprintable()
    assert set(diagnosis.counts) == {defect.kind for defect in diagnosis.defects}
    for measure, peak in diagnosis.peaks.items():
        assert measure == peak.measure
        assert measure in MEASURES
        assert peak.value > 0
        assert 0 <= peak.start <= peak.end <= size, peak


def check_recognised(name: bytes, value: bytes) -> None:
    """What its recogniser knows, the scanner finds clean, and no measure of it is beyond what is taken for granted."""
    grammar = GRAMMARS[name]
    diagnosis = grammar.diagnose(Field(0, name, value))
    check(diagnosis, len(value))
    if not grammar.recognise(value):
        return
    if name in ADDRESS_NAMES:  # the usual ones are only measured: what reads them byte by byte has to agree
        slowly = rfc5322_address.scan(value, author=name in AUTHOR).diagnosis
        assert (slowly.defects, slowly.peaks) == ([], diagnosis.peaks)
    assert diagnosis.defects == [], diagnosis.defects
    for measure, peak in diagnosis.peaks.items():
        assert peak.value <= taken_for_granted(name, measure, value), measure


def taken_for_granted(name: bytes, measure: str, value: bytes) -> int:
    """What the judge supposes that a recognised value measures at most: see `judge.quick`."""
    if name not in ADDRESS_NAMES:
        return RECOGNISED_AT_MOST[measure]
    if measure == "quoted-strings":
        return value.count(b'"') // 2
    return (len(value) + 1) // ADDRESS_UNITS[measure]
