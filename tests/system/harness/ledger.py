"""Judges a run by its logs: what was lost, what came twice and why, what should not have been.

Contract  Pure: evidence in, verdict out. Every broken invariant is one line that begins with its
          number; the numbers are those of the table below, and each has a made-up history in
          test_ledger.py that breaks it.
            I1   each recipient of a message that got 250 has it, or its sender a bounce, or it is
                 queued; once drained, nothing is queued. Nothing is half delivered.
            I2   nothing arrives that was not sent; body, sender and recipients are as sent
            I3   what was refused for good does not arrive; after 4yz only around a fault
            I4   without a fault nothing arrives twice
            I5   what arrives twice was in flight at a fault of its node, and was in doubt when it
                 was sent again; or its reply was withheld; or its client sent it again
            I6   attempts of one recipient by two nodes do not overlap, unless one's node was
                 stopped or cut off, and it sent no dot after the other began
            I9   a node without a lease answers, and never 250
            I10  what is done does not come back
            I12  bounces follow 1 and 5; none for the null sender, none for who has the message
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from harness.records import (COMING_BACK, SETTLE_S, Attempt, Dump, Fault, Minority, Notice, Sent)

Key = tuple[str, str]  # message id, recipient

# Between two connections to one server: which of two events it sees first, is chance.
SAME_MOMENT_S = 0.1


@dataclass
class Evidence:
    sent: list[Sent] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)  # without those that brought bounces
    notices: list[Notice] = field(default_factory=list)
    dumps: list[Dump] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    minorities: list[Minority] = field(default_factory=list)
    # Queue ids that were in doubt at some time; None: nobody looked.
    in_doubt: frozenset[str] | None = None


@dataclass(frozen=True)
class Rules:
    drained: bool = True      # the run ended healed, and waited for empty queues
    settle_s: float = SETTLE_S
    # What becomes of a message is recorded when it was tried at each of its destinations.
    round_s: float = 30.0
    answer_s: float = 75.0    # a client hears something by then, lease or no lease
    # So long after a fault of the leader others may lose their leases.
    leaderless_s: float = 10.0
    stale_s: float = 30.0     # what is done so long is listed nowhere


@dataclass
class Verdict:
    broken: list[str] = field(default_factory=list)
    counts: Counter = field(default_factory=Counter)
    repeats: Counter = field(default_factory=Counter)  # by what explains them

    def breaks(self, invariant: str, what: str) -> None:
        self.broken.append(f"{invariant} {what}")

    def invariants(self) -> set[str]:
        return {line.split()[0] for line in self.broken}


def judge(evidence: Evidence, rules: Rules = Rules()) -> Verdict:
    books = _Books(evidence)
    verdict = Verdict()
    for check in (_custody, _halves, _strangers, _refused, _repeats, _overlaps, _minorities,
                  _risen, _notices):
        check(books, rules, verdict)
    return verdict


class _Books:
    """The evidence by message and recipient."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.tries: dict[str, list[Sent]] = defaultdict(list)
        self.message_of: dict[str, str] = {}
        for sent in evidence.sent:
            self.tries[sent.message_id].append(sent)
            self.message_of.update(dict.fromkeys(sent.recipients, sent.message_id))
        self.copies: dict[Key, list[Attempt]] = defaultdict(list)
        self.asked: dict[str, list[Attempt]] = defaultdict(list)  # by recipient
        for attempt in sorted(evidence.attempts, key=lambda one: one.began):
            for recipient in named(attempt):
                self.asked[recipient].append(attempt)
            if attempt.arrived:
                for recipient in attempt.recipients:
                    self.copies[(attempt.message_id, recipient)].append(attempt)
        self.told: dict[Key, list[Notice]] = defaultdict(list)
        for notice in evidence.notices:
            for recipient in notice.recipients:
                about = notice.about or self.message_of.get(recipient, "")
                self.told[(about, recipient)].append(notice)
        self.queued: set[Key] = set()
        for dump in newest(evidence.dumps):
            self.queued |= {(message.message_id, recipient) for message in dump.messages
                            for recipient in message.pending}

    def taken(self, message_id: str) -> bool:
        return any(sent.taken for sent in self.tries[message_id])

    def recipients(self, message_id: str) -> tuple[str, ...]:
        """None of a bounce, which no client sent."""
        tries = self.tries.get(message_id)
        return tries[0].recipients if tries else ()

    def settled(self, key: Key) -> bool:
        return bool(self.copies.get(key) or self.told.get(key)) or self._nobody_to_tell(key)

    def _nobody_to_tell(self, key: Key) -> bool:
        """Refused for good, and from the null sender."""
        message_id, recipient = key
        return not self.tries[message_id][0].sender and any(
            who == recipient and reply.startswith("5")
            for attempt in self.asked.get(recipient, []) for who, reply in attempt.refused)

    def explanation(self, attempt: Attempt, settle_s: float) -> str:
        """The kind of the fault that may have taken this attempt's end from everybody's memory."""
        for fault in self.evidence.faults:
            in_time = (fault.began <= attempt.ended + settle_s and attempt.began <= fault.ended)
            if fault.may_repeat and in_time and attempt.peer in fault.nodes:
                return fault.kind
        return ""

    def was_in_doubt(self, attempt: Attempt) -> bool:
        return attempt.queue_id in (self.evidence.in_doubt or ())

    def leaderless(self, attempt: Attempt, rules: Rules) -> bool:
        """Its node may have lost its lease, and broken it off, by a fault of another one."""
        return any(fault.may_repeat and fault.began <= attempt.ended and
                   attempt.began <= fault.ended + rules.leaderless_s
                   for fault in self.evidence.faults)


def newest(dumps: list[Dump]) -> list[Dump]:
    """The last of each node."""
    return list({dump.node: dump for dump in sorted(dumps, key=lambda one: one.at)}.values())


def named(attempt: Attempt) -> tuple[str, ...]:
    return attempt.recipients + tuple(recipient for recipient, _ in attempt.refused)


def _custody(books: _Books, rules: Rules, verdict: Verdict) -> None:
    for message_id, tries in books.tries.items():
        verdict.counts["tries"] += len(tries)
        if not books.taken(message_id):
            verdict.counts["unknown"] += any(sent.unknown for sent in tries)
            continue
        verdict.counts["acknowledged"] += 1
        for recipient in books.recipients(message_id):
            key = (message_id, recipient)
            verdict.counts["recipients"] += 1
            verdict.counts["delivered"] += key in books.copies
            verdict.counts["bounced"] += key in books.told
            if not books.settled(key) and key in books.queued:
                verdict.counts["queued"] += 1
            elif not books.settled(key):
                verdict.counts["lost"] += 1
                verdict.breaks("I1", f"{message_id} to {recipient} got 250 and is lost")
    if rules.drained:
        for dump in newest(books.evidence.dumps):
            for message in dump.messages:
                verdict.breaks("I1", f"{message.queue_id} ({message.message_id}) is still queued "
                                     f"at {dump.node}")


def _halves(books: _Books, _: Rules, verdict: Verdict) -> None:
    """Of messages without a 250: all or nothing."""
    for message_id in books.tries:
        keys = [(message_id, recipient) for recipient in books.recipients(message_id)]
        found = [key for key in keys if books.settled(key)]
        if books.taken(message_id) or not found:
            continue
        verdict.counts["recovered"] += 1
        for _, recipient in set(keys) - set(found) - books.queued:
            verdict.breaks("I1", f"{message_id} was delivered, and not to {recipient}")


def _strangers(books: _Books, _: Rules, verdict: Verdict) -> None:
    for attempt in books.evidence.attempts:
        if not attempt.arrived:
            continue
        tries = books.tries.get(attempt.message_id)
        if not tries:
            verdict.breaks("I2", f"{attempt.message_id or 'without an id'} was never sent")
            continue
        sent = tries[0]
        for recipient in set(attempt.recipients) - set(sent.recipients):
            verdict.breaks("I2", f"{sent.message_id} was not sent to {recipient}")
        if attempt.sha256 != sent.sha256:
            verdict.breaks("I2", f"{sent.message_id} arrived with other content")
        if attempt.sender != sent.sender:
            verdict.breaks("I2", f"{sent.message_id} arrived from {attempt.sender}")


def _refused(books: _Books, rules: Rules, verdict: Verdict) -> None:
    for message_id, tries in books.tries.items():
        if any(sent.taken or sent.unknown for sent in tries):
            continue
        if not any((message_id, recipient) in books.copies
                   for recipient in books.recipients(message_id)):
            continue
        last = tries[-1]
        near = any(fault.may_repeat and fault.began <= (last.replied or last.began) and
                   last.began <= fault.ended + rules.settle_s for fault in books.evidence.faults)
        if last.dot is not None and last.reply.startswith("4") and near:
            verdict.counts["delivered after 4yz"] += 1
        else:
            verdict.breaks("I3", f"{message_id} was refused ({last.reply}) and arrived")


def _repeats(books: _Books, rules: Rules, verdict: Verdict) -> None:
    for (message_id, recipient), copies in books.copies.items():
        first_of: dict[str, Attempt] = {}  # by queue id
        for copy in copies:
            first = first_of.get(copy.queue_id)
            first_of[copy.queue_id] = copy
            if first:
                _repeat(books, rules, verdict, (message_id, recipient), (first, copy))
        # A message that its client sent again, is another one to the pool.
        sent_again = len(first_of) - 1
        may_be_taken = [sent for sent in books.tries[message_id] if sent.dot is not None and
                        not sent.reply.startswith("5")]
        if sent_again and len(first_of) > len(may_be_taken):
            verdict.breaks("I2", f"{message_id} to {recipient} has {len(first_of)} queue ids and "
                                 f"was sent {len(may_be_taken)} times")
        elif sent_again:
            verdict.counts["repeated"] += sent_again
            verdict.repeats["sent again"] += sent_again


def _repeat(books: _Books, rules: Rules, verdict: Verdict, key: Key,
            pair: tuple[Attempt, Attempt]) -> None:
    first, second = pair
    what = (f"{key[0]} to {key[1]} ({first.queue_id}) by {first.peer} at {first.dot:.3f} and by "
            f"{second.peer} at {second.dot:.3f}")
    verdict.counts["repeated"] += 1
    if first.withheld:
        verdict.repeats["reply withheld"] += 1
        return
    settle_s = rules.settle_s
    if len({recipient.split("@")[1] for recipient in books.recipients(key[0])}) > 1:
        settle_s = rules.round_s
    why = books.explanation(first, settle_s)
    if why:
        verdict.repeats[why] += 1
        looked = books.evidence.in_doubt is not None and first.queue_id
        if looked and not books.was_in_doubt(first):
            verdict.breaks("I5", f"{what}: a {why} explains it, and it was never in doubt")
        return
    if not first.reply and books.was_in_doubt(first) and books.leaderless(first, rules):
        verdict.repeats["lease lost"] += 1
        return
    if any(fault.kind in COMING_BACK and first.ended <= fault.ended and
           fault.began <= second.began for fault in books.evidence.faults):
        verdict.breaks("I10", f"{what}: done, and risen when something came back")
    elif any(fault.may_repeat for fault in books.evidence.faults):
        verdict.breaks("I5", f"{what}: no fault explains it")
    else:
        verdict.breaks("I4", f"{what}, without any fault")


def _overlaps(books: _Books, rules: Rules, verdict: Verdict) -> None:
    for recipient, attempts in books.asked.items():
        for number, first in enumerate(attempts):
            for second in attempts[number + 1:]:
                if second.began >= first.ended - SAME_MOMENT_S:
                    break
                if first.peer == second.peer or _other_message(first, second):
                    continue
                if not any(books.explanation(one, rules.settle_s) and quiet_after(one, other)
                           for one, other in ((first, second), (second, first))):
                    verdict.breaks("I6", f"{books.message_of.get(recipient)} to {recipient}: "
                                         f"{first.peer} from {first.began:.3f} to "
                                         f"{first.ended:.3f}, {second.peer} from "
                                         f"{second.began:.3f}")


def quiet_after(one: Attempt, other: Attempt) -> bool:
    """Whether it sent no dot once the other had begun."""
    return one.dot is None or one.dot <= other.began + SAME_MOMENT_S


def _other_message(first: Attempt, second: Attempt) -> bool:
    """To the pool: one that was sent again."""
    return bool(first.queue_id and second.queue_id and first.queue_id != second.queue_id)


def _minorities(books: _Books, rules: Rules, verdict: Verdict) -> None:
    for span in books.evidence.minorities:
        for sent in books.evidence.sent:
            if sent.node != span.node or not span.began <= sent.began < span.ended:
                continue
            verdict.counts["tries without a lease"] += 1
            replied = sent.replied if sent.replied is not None else float("inf")
            if sent.taken and replied < span.ended:
                verdict.breaks("I9", f"{sent.message_id}: {sent.node} has no lease since "
                                     f"{span.began:.3f} and answered 250 at {replied:.3f}")
            if min(replied, span.ended) - sent.began > rules.answer_s:
                verdict.breaks("I9", f"{sent.message_id}: {sent.node} has no lease, and no answer "
                                     f"after {rules.answer_s:.0f} s")


def _risen(books: _Books, rules: Rules, verdict: Verdict) -> None:
    """Listed as pending long after the receiver's 250."""
    for dump in books.evidence.dumps:
        for message in dump.messages:
            for recipient in message.pending:
                done = [copy for copy in books.copies.get((message.message_id, recipient), [])
                        if copy.queue_id == message.queue_id and copy.reply and
                        copy.ended < dump.at - rules.stale_s]
                if done and not message.attempts_in_doubt and not any(
                        books.explanation(copy, rules.settle_s) for copy in done):
                    verdict.breaks("I10", f"{message.queue_id} to {recipient} is listed at "
                                          f"{dump.node}, {dump.at - done[0].ended:.0f} s after it "
                                          f"was delivered")


def _notices(books: _Books, rules: Rules, verdict: Verdict) -> None:
    for (message_id, recipient), notices in books.told.items():
        tries = books.tries.get(message_id)
        if not tries or recipient not in tries[0].recipients:
            verdict.breaks("I12", f"a bounce of {message_id} to {recipient}, which was not sent")
            continue
        if not tries[0].sender:
            verdict.breaks("I12", f"a bounce of {message_id}, whose sender is null")
        asked = books.asked.get(recipient, [])
        excused = any(books.explanation(attempt, rules.settle_s) for attempt in asked)
        has_it = [copy for copy in books.copies.get((message_id, recipient), [])
                  if not copy.withheld]
        if has_it and not excused:
            verdict.breaks("I12", f"a bounce of {message_id} to {recipient}, who has it")
        ids = {notice.attempt.message_id for notice in notices}
        allowed = max(1, len([sent for sent in tries if sent.dot is not None]))
        if len(ids) > allowed and not excused:
            verdict.breaks("I12", f"{len(ids)} bounces of {message_id} to {recipient}")
        for bounce in ids:
            same = [notice.attempt for notice in notices if notice.attempt.message_id == bounce]
            for first, second in zip(same, same[1:]):
                _repeat(books, rules, verdict, (bounce, recipient), (first, second))
