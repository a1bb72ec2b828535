"""The ledger, on made-up histories: what is in order passes, and every broken promise is found."""

from dataclasses import replace

import pytest

from harness.ledger import Evidence, Rules, judge
from harness.records import (Attempt, Dump, Fault, FaultLog, Minority, Notice, Queued, Sent)

A, B = "10.0.0.11", "10.0.0.12"
ID, TO = "one@load.test", "one-1@sink.test"
QUEUE_ID, OTHER_ID = "01AAAAAAAAAAAAAAAAAAAAAAAA", "01BBBBBBBBBBBBBBBBBBBBBBBB"

SENT = Sent(ID, "me@box.test", (TO,), "hash", A, began=1, dot=1.1, replied=1.2, reply="250 ok")
UNKNOWN = replace(SENT, replied=None, reply="")
REFUSED = replace(SENT, reply="550 5.7.1 no")
LATER = replace(SENT, reply="451 4.3.0 later")
COPY = Attempt(A, "me@box.test", (TO,), began=2, ended=2.3, dot=2.2, reply="250 taken",
               message_id=ID, queue_id=QUEUE_ID, sha256="hash")
SECOND = replace(COPY, peer=B, began=20, dot=20.2, ended=20.3)
EMPTY = [Dump(A, 60, ()), Dump(B, 60, ())]
LISTED = Queued(QUEUE_ID, ID, (TO,))
BOUNCE = Notice(Attempt(A, "", ("me@box.test",), 3, 3.3, dot=3.2, reply="250 taken",
                        message_id="bounce-1@node.test", sha256="x"), ID, (TO,))
NO_USER = Attempt(A, "me@box.test", (), 2, 2.1, refused=((TO, "550 5.1.1 no such user"),))


def fault(kind: str, began: float, ended: float | None = None, node: str = A) -> Fault:
    return Fault(kind, frozenset({node}), began, began if ended is None else ended)


def evidence(sent=(SENT,), attempts=(COPY,), **more) -> Evidence:
    return Evidence(**{"sent": list(sent), "attempts": list(attempts), "dumps": EMPTY, **more})


def two_recipients(sent: Sent) -> Sent:
    return replace(sent, recipients=(TO, "one-2@sink.test"))


IN_ORDER = {
    "delivered": evidence(),
    "bounced": evidence(attempts=[NO_USER], notices=[BOUNCE]),
    "refused for good, and nobody to tell": evidence(
        [replace(SENT, sender="")], [replace(NO_USER, sender="")]),
    "bounced without the original's header": evidence(
        attempts=[NO_USER], notices=[replace(BOUNCE, about="")]),
    "refused": evidence([REFUSED], []),
    "no reply, and not taken": evidence([UNKNOWN], []),
    "no reply, and taken": evidence([UNKNOWN], [COPY]),
    "sent again, and taken twice": evidence(
        [UNKNOWN, replace(SENT, began=9, dot=9.1, replied=9.2)],
        [COPY, replace(SECOND, queue_id=OTHER_ID)]),
    "4yz around a fault, and taken": evidence([LATER], [COPY], faults=[fault("cut", 0, 5)]),
    "killed in flight": evidence(attempts=[COPY, SECOND], faults=[fault("kill", 2.25)],
                                 in_doubt=frozenset({QUEUE_ID})),
    "killed before all holders knew": evidence(attempts=[COPY, SECOND],
                                               faults=[fault("kill", 4)]),
    "killed in flight, sent again by the same node": evidence(
        attempts=[COPY, replace(SECOND, peer=A)], faults=[fault("kill", 2.25)],
        in_doubt=frozenset({QUEUE_ID})),
    "killed while another destination was tried": evidence(
        [replace(SENT, recipients=(TO, "one-2@slow.test"))],
        [COPY, SECOND, replace(COPY, recipients=("one-2@slow.test",))],
        faults=[fault("kill", 15)], in_doubt=frozenset({QUEUE_ID})),
    "cut off, and another began before": evidence(
        attempts=[replace(NO_USER, peer=B, began=19.9, ended=20.2, refused=((TO, "421 later"),)),
                  replace(NO_USER, began=20, ended=20.1, refused=((TO, "421 later"),)),
                  replace(COPY, peer=B, began=30, dot=31, ended=32)],
        faults=[fault("cut", 10, 25)]),
    "the leader died, and the lease ended": evidence(
        attempts=[replace(COPY, reply=""), SECOND], faults=[fault("kill", 0.5, node=B)],
        in_doubt=frozenset({QUEUE_ID})),
    "paused in flight": evidence(attempts=[COPY, SECOND], faults=[fault("pause", 2.1, 15)]),
    "reply withheld": evidence(attempts=[replace(COPY, reply="", withheld=True), SECOND],
                               in_doubt=frozenset()),
    "bounced twice around a kill": evidence(
        attempts=[NO_USER, replace(NO_USER, peer=B, began=20, ended=21)],
        notices=[BOUNCE, replace(BOUNCE, attempt=replace(
            BOUNCE.attempt, message_id="bounce-2@node.test"))], faults=[fault("kill", 2.1)]),
    "a paused node keeps its connection": evidence(
        attempts=[replace(COPY, dot=None, reply="", ended=50), SECOND],
        faults=[fault("pause", 2.1, 49)]),
    "one after the other": evidence(attempts=[
        replace(NO_USER, refused=((TO, "421 4.3.2 later"),)), replace(COPY, began=30, dot=31,
                                                                      ended=32)]),
    "refused without a lease": evidence(
        [replace(LATER, began=11, dot=None, replied=11.1)], [],
        minorities=[Minority(A, 10, 20)], faults=[fault("cut", 5, 20)]),
    "a lease that came back": evidence([replace(SENT, began=19, dot=19.1, replied=21)],
                                       minorities=[Minority(A, 10, 20)]),
    "listed while it is delivered": evidence(dumps=[Dump(B, 3, (LISTED,)), *EMPTY]),
    "listed in doubt": evidence(dumps=[
        Dump(B, 50, (replace(LISTED, attempts_in_doubt=1),)), *EMPTY]),
}


@pytest.mark.parametrize("given", IN_ORDER.values(), ids=IN_ORDER.keys())
def test_what_is_in_order(given):
    assert judge(given).broken == []


BROKEN = {
    "lost": ("I1", evidence(attempts=[])),
    "lost after an attempt that failed": ("I1", evidence(attempts=[
        replace(COPY, reply="451 4.3.0 later")])),
    "refused for now, and nobody to tell": ("I1", evidence([replace(SENT, sender="")], [
        replace(NO_USER, sender="", refused=((TO, "450 4.7.1 later"),))])),
    "refused for good, and nobody told": ("I1", evidence(attempts=[NO_USER])),
    "one of two recipients lost": ("I1", evidence([two_recipients(SENT)])),
    "queued at the end": ("I1", evidence(attempts=[], dumps=[Dump(A, 60, (LISTED,))])),
    "delivered, and queued at the end": ("I1", evidence(dumps=[Dump(A, 5, (LISTED,))])),
    "half a message": ("I1", evidence([two_recipients(UNKNOWN)])),
    "never sent": ("I2", evidence(attempts=[COPY, replace(COPY, message_id="x@load.test")])),
    "no id": ("I2", evidence(attempts=[COPY, replace(COPY, message_id="")])),
    "other content": ("I2", evidence(attempts=[replace(COPY, sha256="other")])),
    "other sender": ("I2", evidence(attempts=[replace(COPY, sender="you@box.test")])),
    "other recipient": ("I2", evidence(attempts=[
        replace(COPY, recipients=(TO, "two-1@sink.test"))])),
    "two queue ids of one try": ("I2", evidence(
        attempts=[COPY, replace(SECOND, queue_id=OTHER_ID)])),
    "refused for good, and delivered": ("I3", evidence([REFUSED])),
    "4yz without a fault, and delivered": ("I3", evidence([LATER])),
    "4yz long before a fault, and delivered": ("I3", evidence([LATER],
                                                             faults=[fault("kill", 50)])),
    "refused at RCPT, and delivered": ("I3", evidence(
        [replace(LATER, dot=None)], faults=[fault("cut", 0, 5)])),
    "twice without any fault": ("I4", evidence(attempts=[COPY, SECOND])),
    "twice by a node that leaves": ("I4", evidence(attempts=[COPY, SECOND],
                                                   faults=[fault("leave", 2.1, 3)])),
    "twice, the reply was not heard": ("I4", evidence(attempts=[replace(COPY, reply=""), SECOND])),
    "twice, the fault was another's": ("I5", evidence(attempts=[COPY, SECOND],
                                                     faults=[fault("kill", 2.25, node=B)])),
    "twice, the fault was earlier": ("I5", evidence(attempts=[COPY, SECOND],
                                                   faults=[fault("kill", 1.9)])),
    "twice, the fault was later": ("I5", evidence(attempts=[COPY, SECOND],
                                                 faults=[fault("kill", 6)])),
    "twice, the fault was another's, and not in doubt": ("I5", evidence(
        attempts=[replace(COPY, reply=""), SECOND], faults=[fault("kill", 0.5, node=B)],
        in_doubt=frozenset({OTHER_ID}))),
    "three times, one fault": ("I5", evidence(
        attempts=[COPY, SECOND, replace(SECOND, began=40, dot=41, ended=42)],
        faults=[fault("kill", 2.25)])),
    "twice at a kill, and not in doubt": ("I5", evidence(
        attempts=[COPY, SECOND], faults=[fault("kill", 2.25)], in_doubt=frozenset({OTHER_ID}))),
    "two at once": ("I6", evidence(attempts=[
        COPY, replace(NO_USER, peer=B, began=2.1, ended=2.15)])),
    "two at once, a fault of neither": ("I6", evidence(
        attempts=[COPY, replace(NO_USER, peer=B, began=2.1, ended=2.15)],
        faults=[fault("pause", 2, 9, node="10.0.0.13")])),
    "killed long after, with another recipient there": ("I5", evidence(
        [two_recipients(SENT)], [replace(one, recipients=(TO, "one-2@sink.test"))
                                 for one in (COPY, SECOND)], faults=[fault("kill", 15)])),
    "a dot of who was cut off, while another tries": ("I6", evidence(
        attempts=[replace(NO_USER, peer=B, began=1.9, ended=2.5, refused=((TO, "421 later"),)),
                  COPY], faults=[fault("cut", 1, 3)])),
    "a dot after another began": ("I6", evidence(
        attempts=[replace(COPY, dot=30, ended=30.1), SECOND], faults=[fault("pause", 2.1, 29)])),
    "250 without a lease": ("I9", evidence([replace(SENT, began=11, dot=11.1, replied=11.2)],
                                           [replace(COPY, began=12, dot=12.1, ended=12.2)],
                                           minorities=[Minority(A, 10, 20)])),
    "no answer without a lease": ("I9", evidence([replace(UNKNOWN, began=11)], [],
                                                 minorities=[Minority(A, 10, 200)])),
    "risen with an old disk": ("I10", evidence(attempts=[COPY, SECOND],
                                               faults=[fault("old disk", 15, 18, node=B)])),
    "listed long after": ("I10", evidence(dumps=[Dump(B, 50, (LISTED,)), *EMPTY])),
    "a bounce, and delivered": ("I12", evidence(notices=[BOUNCE])),
    "a bounce to the null sender": ("I12", evidence(
        [replace(SENT, sender="")], [replace(NO_USER, sender="")], notices=[BOUNCE])),
    "a bounce of nothing": ("I12", evidence(notices=[replace(BOUNCE, about="x@load.test")])),
    "a bounce of another's recipient": ("I12", evidence(
        attempts=[NO_USER], notices=[BOUNCE, replace(BOUNCE, recipients=("you@sink.test",))])),
    "two bounces": ("I12", evidence(attempts=[NO_USER], notices=[
        BOUNCE, replace(BOUNCE, attempt=replace(BOUNCE.attempt, message_id="bounce-2@x"))])),
    "one bounce twice": ("I4", evidence(attempts=[NO_USER], notices=[
        BOUNCE, replace(BOUNCE, attempt=replace(BOUNCE.attempt, began=20, dot=21, ended=22))])),
}


@pytest.mark.parametrize("invariant, given", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_broken(invariant, given):
    assert judge(given).invariants() == {invariant}


def test_what_is_queued_is_not_lost_before_the_end():
    given = evidence(attempts=[], dumps=[Dump(A, 10, (LISTED,)), Dump(B, 10, ())])
    verdict = judge(given, Rules(drained=False))
    assert verdict.broken == [] and verdict.counts["queued"] == 1
    # Of each node the newest counts.
    given.dumps.append(Dump(A, 11, ()))
    assert judge(given, Rules(drained=False)).invariants() == {"I1"}


def test_counts():
    other = replace(SENT, message_id="two@load.test", recipients=("two-1@sink.test",))
    verdict = judge(evidence(
        [SENT, other], [COPY, SECOND, replace(COPY, message_id=other.message_id,
                                              recipients=other.recipients)],
        faults=[fault("kill", 2.25)]))
    assert verdict.broken == []
    assert verdict.counts["acknowledged"] == 2 and verdict.counts["delivered"] == 2
    assert verdict.counts["repeated"] == 1 and verdict.repeats == {"kill": 1}


def test_a_fault_log_knows_what_has_not_ended():
    log = FaultLog()
    log.begin("cut", A)
    log.begin("pause", A)
    log.begin("pause", B)
    log.end("pause", A)
    assert sorted((fault.kind, *fault.nodes) for fault in log.faults) == [("pause", A)]
    assert sorted((fault.kind, *fault.nodes) for fault in log.whole()) == [
        ("cut", A), ("pause", A), ("pause", B)]
    log.end("pause")
    assert len(log.faults) == 2
    with pytest.raises(ValueError):
        log.begin("sneeze", A)
