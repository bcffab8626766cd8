"""The study's section on the acceptance rule: what it let through, and what other limits would have."""

import math
from itertools import pairwise

from worldagen.report.findings import Finding
from worldagen.report.rule import TOLERATED, record, within
from worldagen.report.words import interval
from worldagen.study.cells import NONE, listed, mean, percent
from worldagen.study.document import Section, Table
from worldagen.study.summary import Study

LIMITS = (0.005, 0.01, 0.02, 0.05, 0.1, math.inf)
"""Limits on drift that are compared."""


def section(study: Study) -> Section:
    """In words, by setting, and under other limits."""
    gains, drifts = (
        listed(sorted({scale * each.results.config["ttt"].get(name, 0.0) for each in study.settings}))
        for name, scale in (("accept_gain", 100), ("accept_drift", 1))
    )
    text = (
        f"The rule uses an adapter only if its held-out error on changed patches falls by more than {gains} % and the "
        f"policy's arm drift and share of flipped gripper commands are at most {drifts}. It knows nothing of success."
    )
    rows = [_row(each.name, each.findings.compared) for each in study.settings] + [_row("all", study.compared)]
    note = "Differences as seen in the search. Neither lost more nor shown to lose less: undecided at this sample size."
    return Section("The acceptance rule", (text, Table.of(rows, note), _limits(study)))


def _row(name: str, compared: tuple[Finding, ...]) -> dict[str, str]:
    found, limit = record(compared), f"{100 * TOLERATED:.0f} points"
    return {
        "setting": name,
        "accepted": f"{len(found.accepted)} of {len(compared)}",
        "their mean": mean(found.accepted),
        f"lost more than {limit}": str(len(found.losing)),
        f"shown to lose less than {limit}": str(len(found.proven)),
        "worst accepted": interval(found.worst.difference) if found.worst and found.worst.difference else NONE,
        "mean of the rejected": mean(found.rejected),
        "harms averted": f"{len(found.averted)} of {len(found.averted) + len(found.harmful)}",
        "gains or candidates missed": str(len(found.missed)),
    }


def _limits(study: Study) -> Table:
    """What other limits on drift would let through."""
    rows = []
    for low, limit in pairwise((-math.inf, *LIMITS)):
        found, before = (
            tuple(each for findings in study.findings for each in within(findings, most)) for most in (limit, low)
        )
        new = tuple(each for each in found if each not in before)
        rows.append(
            {
                "limit on drift": f"{limit:g}" if math.isfinite(limit) else "none",
                "accepted": f"{len(found)} of {len(study.compared)}",
                "their mean": mean(found),
                "harms among them": str(len([each for each in found if each.verdict == "harm"])),
                "lowest error": percent(min(each.error_change for each in found)) if found else NONE,
                "new to the limit before": str(len(new)),
                "mean of the new": mean(new),
            }
        )
    note = (
        "If the rule had another limit: points to the control in the search, and the largest fall of the held-out "
        "error that it would let through. To choose a limit for a suite of your own, read this table for that suite."
    )
    return Table.of(rows, note)
