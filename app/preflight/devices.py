"""Whether any worker has as many devices as a job wants to train on."""

from collections.abc import Iterator, Sequence

from app.schemas.jobs import JobWarning, TrainJobRequest
from app.store.tables import Worker


def too_few_devices(request: TrainJobRequest, crew: Sequence[Worker]) -> Iterator[JobWarning]:
    """Warn when a worker that may take the job has fewer devices than it wants, since the job would fail there.

    ``crew`` are the workers that are connected now. One that does not say what it has is taken to have enough; and
    where none takes jobs of this queue, whoever comes may have as many as it likes.
    """
    wish = request.hyperparameters.devices
    there = sorted(worker.devices or 0 for worker in crew if request.queue in worker.queues and worker.devices)
    if wish == "auto" or not there or there[0] >= wish:
        return
    fit = sum(count >= wish for count in there)
    if fit == 0:
        detail = (
            f"devices is {wish}, and no worker that is connected and takes jobs of this queue has more than {there[-1]}"
        )
        remedy = f"Set devices to {there[-1]} or less, or to 'auto'; or connect a worker that has more before it runs."
    else:
        detail = f"devices is {wish}, and only {fit} of the {len(there)} workers that take jobs of this queue have that"
        remedy = "Name a queue that only workers with enough devices take jobs of, or set devices to 'auto'."
    yield JobWarning(code="too-few-devices", detail=f"{detail}: where there are fewer the job fails.", remedy=remedy)
