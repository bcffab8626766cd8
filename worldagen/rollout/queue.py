"""Which episode runs next: a plain queue that several runs share. Knows nothing of Ray, workers or time."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from worldagen.types import EnvSpec, EpisodeSpec

Group = tuple[EnvSpec, str]
"""Episodes that the same compiled simulator can run: environment and task."""


@dataclass(eq=False)
class Ticket:
    """An episode on its way to a result."""

    spec: EpisodeSpec
    key: str
    runs: set[str] = field(default_factory=set)
    """Who waits for the result."""
    failures: int = 0
    unbuilt: Counter[str] = field(default_factory=Counter)
    """How often its simulator could not be built, by node."""
    alone: bool = False
    """Whether it may have brought a process down: then it runs with no other episode beside it."""

    @property
    def group(self) -> Group:
        return self.spec.env, self.spec.task


class EpisodeQueue:
    """Life of a ticket: `add` -> `take` -> `done`, or after an attempt that came to nothing `put_back` -> `take` -> ...

    An episode that several runs ask for has one ticket, so it runs once. Tickets that nobody waits for any more are
    dropped before they are taken, never while they run.

        queue.add(spec, "run 1")
        ticket = queue.take(prefer=None)
        for run in queue.done(ticket): ...   # "run 1"
    """

    def __init__(self) -> None:
        self.tickets: dict[str, Ticket] = {}
        self.waiting: dict[Group, deque[Ticket]] = {}
        self.alone: deque[Ticket] = deque()
        """Waiting tickets that must run alone; `take` leaves them to `take_alone`."""

    def __len__(self) -> int:
        """Tickets that `take` can give."""
        return sum(len(group) for group in self.waiting.values())

    def add(self, spec: EpisodeSpec, run: str) -> None:
        """Ask for the result of `spec` on behalf of `run`."""
        key = spec.key
        ticket = self.tickets.get(key)
        if ticket is None:
            ticket = self.tickets[key] = Ticket(spec, key)
            self._wait(ticket)
        ticket.runs.add(run)

    def take(self, prefer: Group | None) -> Ticket | None:
        """The next episode to run: of the group `prefer` while there is one, else of the longest group."""
        if prefer not in self.waiting:
            prefer = max(self.waiting, key=lambda group: len(self.waiting[group]), default=None)
        if prefer is None:
            return None
        group = self.waiting[prefer]
        ticket = group.popleft()
        if not group:
            del self.waiting[prefer]
        return ticket

    def take_alone(self) -> Ticket | None:
        """The next episode that must run alone."""
        return self.alone.popleft() if self.alone else None

    def put_back(self, ticket: Ticket) -> None:
        """Put a taken ticket back, behind the others of its group, or drop it if nobody waits for it any more."""
        if ticket.runs:
            self._wait(ticket)
        else:
            del self.tickets[ticket.key]

    def done(self, ticket: Ticket) -> set[str]:
        """Take a ticket out for good; returns the runs that wait for its result."""
        del self.tickets[ticket.key]
        return ticket.runs

    def leave(self, run: str) -> None:
        """`run` no longer waits for anything."""
        for ticket in self.tickets.values():
            ticket.runs.discard(run)
        for group, tickets in list(self.waiting.items()):
            self.waiting[group] = deque(self._wanted(tickets))
            if not self.waiting[group]:
                del self.waiting[group]
        self.alone = deque(self._wanted(self.alone))

    def _wanted(self, tickets: deque[Ticket]) -> Iterator[Ticket]:
        for ticket in tickets:
            if ticket.runs:
                yield ticket
            else:
                del self.tickets[ticket.key]

    def _wait(self, ticket: Ticket) -> None:
        if ticket.alone:
            self.alone.append(ticket)
        else:
            self.waiting.setdefault(ticket.group, deque()).append(ticket)
