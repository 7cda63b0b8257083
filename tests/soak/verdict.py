# SPDX-License-Identifier: MIT
"""What a run of scripts/soak cluster has shown: what came is compared with what the units know, each difference is named, and the table is printed."""

import collections
import time

from fleet import ENDS
from hostile import percentile, table

GOAL = 1.0  # seconds until a moved unit takes a command


def newest(told, by_session):
    """The status that came last, or the one with the highest session: a broker that delivers again what was acknowledged delivers what is old."""
    records = [record for _, record in told] or [{}]
    return max(records, key=lambda r: (r.get("session", 0), r.get("since", 0))) if by_session else records[-1]


def wrong_statuses(observer, movers, by_session=False):
    wrong = []
    for ident, unit in movers.units.items():
        told = newest(observer.status.get(ident, []), by_session)
        true = ("offline", None) if ident in movers.away else ("online", unit.at)
        if told.get("state") != true[0] or (true[1] and told.get("instance") != true[1]):
            wrong.append((ident, true, {k: told.get(k) for k in ("state", "instance", "reason", "session")}))
    return wrong


def killed_in_the_act(faults, unit, begin, end):
    """The bridges that were killed while this command was under way and could be in their hands: one at which the unit was, or the router."""
    at = unit.visited if unit else []
    return [name for when, name, was_router in faults.kills if begin - 1 < when < end and
            (was_router or name in [place for began, over, place in zip([t for t, _ in at], [t for t, _ in at[1:]] + [when], [p for _, p in at])
                                    if began <= when and over >= begin - 1])]


class Verdict:
    """`lost`: ids of commands of which a write was lost with a killed master of the registry."""

    def __init__(self, movers, observer, orders, faults, patience):
        self.movers, self.observer, self.orders, self.faults = movers, observer, orders, faults
        self.missing = movers.acknowledged.keys() - observer.records.keys()
        for promotion in faults.promotions:
            promotion.compare()
        self.lost = set().union(*(p.commands for p in faults.promotions))
        self.twice, self.odd, self.killed, self.unwritten = [], [], [], []
        for id, (ident, key, when, at, hold) in orders.sent.items():
            self.judge(id, ident, key, at, when, when + patience + hold)

    def judge(self, id, ident, key, at, begin, end):
        executed = self.movers.executed.get((ident, key), [])
        ends = self.observer.ends(id)
        if len(executed) <= 1 and len(ends) == 1:
            return
        killed = killed_in_the_act(self.faults, self.movers.units.get(ident), begin, end)
        row = (id, ident, at, [f"{r['status']}@{r.get('server.instance', '')}" for _, r in self.observer.replies.get(id, {}).values()],
               [r.get("reason") for r in ends], f"executed at {[place for _, place in executed]}", f"killed {killed}")
        if id in self.lost:
            self.unwritten.append(row)
            return
        if len(executed) > 1:
            self.twice.append(row)
        if len(ends) != 1:
            (self.killed if not ends and killed else self.odd).append(row)

    def nothing_happened(self):
        """What a run must have had, or its zeros mean nothing."""
        counts = {"acknowledged": self.movers.acknowledged, "records": self.observer.records, "commands": self.orders.sent,
                  "commands executed": self.movers.executed, "moved units that obeyed": self.orders.taken, "faults": self.faults.told}
        return [what for what, those in counts.items() if not those]

    def rows_of_promotions(self):
        done = self.faults.promotions
        if not done:
            return []
        writes = [len(p.lost) for p in done if p.lost is not None]
        return [("registry: masters killed, the copy promoted after, longest, s",
                 f"{len(done)}, {max((p.seconds for p in done if p.seconds), default=float('nan')):.1f}"),
                ("  writes lost with them: the copy had not got them yet",
                 f"{sum(writes)} (most at once {max(writes, default=0)}; {sum(len(p.lost or ()) for p in done if not p.late)} where the copy was in time), "
                 f"about {len(self.lost)} commands and {len(set().union(*(p.units for p in done)))} units" +
                 (f"; not known for {len(done) - len(writes)}" if len(writes) < len(done) else "")),
                ("  commands executed twice or without exactly one end for that", len(self.unwritten))]

    def rows_of_moves(self, margin):
        taken, faults = self.orders.taken, self.faults
        waits = [w for _, begin, when, _ in taken + self.orders.left if (w := faults.undisturbed(begin, when, margin))]
        quiet = [w for _, begin, when, _ in taken if (w := faults.undisturbed(begin, when, margin)) and w[1]]
        longest = max([seconds for seconds, _ in waits], default=0)
        return [("moved units that took a command", len(taken)),
                ("until a moved unit took a command, longest, s", f"{max([t for t, *_ in taken], default=0):.2f}"),
                (f"  with no fault meanwhile nor {margin} s before, median, longest, s (of {len(quiet)})",
                 f"{percentile([seconds for seconds, _ in quiet], .5):.3f}, {longest:.2f}", longest <= GOAL, f"goal {GOAL:.0f} s"),
                ("  connected or moved again before they took one, after at most, s",
                 f"{len(self.orders.left)}, {max([t for t, *_ in self.orders.left], default=0):.2f}")]

    def rows_of_commands(self):
        kinds = collections.Counter(r["status"] for id in self.orders.sent for r in self.observer.ends(id))
        return [("commands", len(self.orders.sent)), ("ends", ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))),
                ("executed more than once", len(self.twice)), ("written into dead connections", self.movers.into_left),
                ("ends other than exactly one", len(self.odd)), ("no end, its instance was killed in the act", len(self.killed))]

    def details(self, start, show):
        missing = sorted((round(self.movers.acknowledged[key][0] - start, 1), self.movers.acknowledged[key][1], *key) for key in self.missing)
        for name, rows, most in (("missing", missing, show), ("executed more than once", self.twice, show), ("odd ends", self.odd, show),
                                 ("no end, killed in the act", self.killed, None), ("lost with a master", self.unwritten, None)):
            for row in rows[:most]:
                print(f"  {name}: {row}")


def print_statuses(observer, wrong, start, show):
    for row in wrong[:show]:
        print(f"  wrong status: {row}")
        print(f"  statuses of {row[0]}:", *(f"{when - start:.1f} s {r['state']} {r['instance']} {r['session']}"
                                            for when, r in observer.status.get(row[0], [])[-6:]))


def report(args, nodes, verdict, statuses, bare):
    """`bare`: what the broker acknowledged to clients that only publish. `statuses`: wrong ones after the last fault, by their sessions, and at the end of all; and wrong ones by what came last."""
    wrong, still_wrong, arrived = statuses
    movers, times = verdict.movers, collections.Counter(kind for kind, *_ in verdict.faults.told)
    table([("fleet", f"3 bridges, {'no [cluster]' if args.without else f'lease {args.lease} s'}, broker {args.broker} x {nodes}, "
            f"{args.units} units, {args.seconds:.0f} s, seed {args.seed}"),
           ("faults", ", ".join(f"{n} x {kind}" for kind, n in sorted(times.items()))),
           ("moves, 7 of 10 half open", movers.moves), ("other reconnects", movers.reconnects),
           ("acknowledged", len(movers.acknowledged)), ("missing", len(verdict.missing)), ("repeated", verdict.observer.repeated),
           ("  clients that only publish: acknowledged by the broker, missing", f"{len(bare)}, {len(bare - verdict.observer.bare)}"),
           *verdict.rows_of_commands(), *verdict.rows_of_promotions(),
           (f"statuses wrong {args.settle} s after the last fault", len(wrong)), ("  wrong at the very end", len(still_wrong)),
           ("  wrong by the status that came last, not by its session", len(arrived)), ("units that were to be off line by then", len(movers.away)),
           *verdict.rows_of_moves(args.lease + 3)])
    for what in verdict.nothing_happened():
        print(f"  nothing to judge: no {what}")


def timeline(start, faults, observer, orders):
    """Each fault, and what ends commands had in each second."""
    for kind, name, begin, over in faults.told:
        print(f"  {begin - start:6.1f} to {(over or time.monotonic()) - start:6.1f} s: {kind} {name}")
    seconds = collections.defaultdict(collections.Counter)
    for id in orders.sent:
        for when, r in observer.replies.get(id, {}).values():
            if r["status"] in ENDS:
                seconds[int(when - start)][r["status"] + (" " + r["reason"] if r["status"] == "rejected" else "")] += 1
    for second in sorted(seconds):
        print(f"  {second:4} s: {dict(seconds[second])}")
