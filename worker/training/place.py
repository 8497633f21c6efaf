"""How far a run is, and what is due there."""

from dataclasses import dataclass

from app.schemas.hyperparameters import ResolvedHyperparameters


@dataclass(slots=True)
class Place:
    """Finished optimizer steps, the epoch, and the windows finished in it."""

    step: int = 0
    epoch: int = 0
    window: int = 0
    evaluated: int = 0
    """Step of the newest evaluation."""

    def evaluation_is_due(self, wishes: ResolvedHyperparameters, total_steps: int, *, last: bool) -> bool:
        """Say whether these weights are to be judged; ``last``: no step will follow, whatever is left of them."""
        if self.step == self.evaluated:
            return False
        if self.step >= total_steps or last:
            return True
        if wishes.eval_steps is not None:
            return self.step % wishes.eval_steps == 0
        return self.window == 0

    def save_is_due(self, wishes: ResolvedHyperparameters, total_steps: int) -> bool:
        """Say whether the run is to be saved here, where steps or epochs decide that."""
        if self.step >= total_steps:
            return False
        match wishes.save_strategy:
            case "steps":
                return self.step % (wishes.save_steps or 1) == 0
            case "epoch":
                return self.window == 0
            case _:
                return False
