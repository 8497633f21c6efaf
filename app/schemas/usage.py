"""What a job cost, and where its time went."""

from app.schemas.base import Resource


class Breakdown(Resource):
    """Where the time from the request to the version went, in seconds; the parts add up to the whole."""

    queue: float | None = None
    """Until the last attempt began: waiting, and attempts that were lost; null until the job has succeeded."""
    start: float | None = None
    """Bringing data and base model, and starting the training process; of several devices, waiting until all processes
    are there."""
    prepare: float
    """Reading, tokenizing, building the network; asking the teacher of a distillation."""
    train: float
    """Training, with the evaluations that pick the best weights."""
    evaluate: float
    """Calibration, test scores, intervals, baselines, hard rows."""
    export: float
    """Writing weights and formats."""
    verify: float
    """Loading, comparing and measuring what was written."""
    publish: float | None = None
    """Copying the bundle and registering the version; null until the job has succeeded."""


class Usage(Resource):
    """What the job cost."""

    wall_seconds: float | None = None
    """From the start of the last attempt to its end."""
    train_seconds: float | None = None
    """Training, with the evaluations that pick the best weights."""
    trained_seconds: float | None = None
    """The same of all attempts together, of lost ones too: what ``max_train_seconds`` and ``max_gpu_seconds`` count."""
    gpu_seconds: float | None = None
    """During which a GPU was held, those of several added up; null on a CPU."""
    peak_memory_mb: float | None = None
    """Most memory at any time, in MB; of several devices, that of the first."""
    padding_fraction: float | None = None
    """Share of the tokens that went through the model in training which only made texts equally long; batches of like
    length keep it small. null when nothing was trained in the last attempt."""
    phases: dict[str, float] = {}
    """Seconds by phase."""
    breakdown: Breakdown | None = None
    """Where all of the job's time went; null until its last attempt has trained and exported."""

    @property
    def parts(self) -> dict[str, float]:
        """Give the seconds by part of the breakdown, as far as they are known; without one, by phase."""
        if self.breakdown is None:
            return self.phases
        return {name: seconds for name, seconds in self.breakdown.model_dump().items() if seconds is not None}
