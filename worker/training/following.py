"""What a process does that takes part in a run which another one leads: as it is told, until nothing more is said."""

from collections.abc import Iterable

from worker.orders import Begin, Make, Order, Show
from worker.training.checkpoint import generators_of
from worker.training.loop import Training
from worker.training.team import Team, throw


def follow(training: Training, team: Team, orders: Iterable[Order], *, fingerprint: str) -> None:
    """Obey ``orders``; ``fingerprint`` is that of the checkpoints which they may name."""
    for order in orders:
        match order:
            case Begin():
                _begin(order, training, team, fingerprint)
            case Make():
                training.take_part(order)
            case Show():
                team.show_dice(training.device)


def _begin(order: Begin, training: Training, team: Team, fingerprint: str) -> None:
    known = {}
    if order.resumed_from is not None:
        training.resume(order.resumed_from, fingerprint=fingerprint)
        known = generators_of(order.resumed_from)
    throw(team.rank, training.wishes.seed, order.step, known, training.device)
    team.level(training.model)
    training.model.train()
