"""The life of a job in its own process: prepare, train, evaluate, export. Publishing is the parent's."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

import torch
from torch import nn
from transformers.utils import logging as transformers_logging

from app.errors import JobFailure
from app.schemas.jobs import JobWarning, Phase
from app.schemas.metrics import Evaluation
from worker import device as machine
from worker.calibrating import Settled, calibrated, calibrated_task, settle
from worker.clock import PhaseClock
from worker.crew import Crew
from worker.devices import refuse_too_few
from worker.events import AttemptSpec, BundleReady, Event, Failed, Interrupted, PhaseStarted, Used, exit_code
from worker.finishing import Finish
from worker.handover import hand_over
from worker.head_start import start_head
from worker.heads import logit_names
from worker.inspection import look_at_data
from worker.judging import Answered, Judge
from worker.memory import Memory, Portion, memory_of
from worker.models.compact import Compact
from worker.models.depth import depths
from worker.models.head import between_parameters, head_parameters, output_layer
from worker.models.recompute import recomputing
from worker.narration import Narrator
from worker.saving import Saving
from worker.setup import Setup, set_up, token_folder
from worker.teaching import Classroom, Taught, ask
from worker.training.compiling import compile_model
from worker.training.events import Evaluated, Stopped
from worker.training.loop import Training
from worker.training.source import Source
from worker.training.team import Team
from worker.validating import Validation
from worker.weighing import weigh


def run(
    spec: AttemptSpec,
    emit: Callable[[Event], None],
    should_stop: Callable[[], bool],
    should_save: Callable[[], bool] = lambda: False,
    should_finish: Callable[[], bool] = lambda: False,
    memory: Callable[[torch.device], Memory | None] = memory_of,
) -> None:
    """Run one attempt from the dataset file to a verified bundle in ``spec.bundle_dir``.

    Sets seeds, threads and determinism of the whole process. Raises JobFailure when the job cannot succeed, and
    Interrupted soon after ``should_stop`` says so, with training saved first when ``should_save`` says so too. When
    ``should_finish`` says so, training ends with its best checkpoint and the other phases follow. ``memory`` tells what
    a device has of it.
    """
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    _Attempt(spec, emit, should_stop, should_save, should_finish, memory).run()


class _Attempt:
    """One attempt; its methods are the phases."""

    def __init__(
        self,
        spec: AttemptSpec,
        emit: Callable[[Event], None],
        should_stop: Callable[[], bool],
        should_save: Callable[[], bool],
        should_finish: Callable[[], bool],
        memory: Callable[[torch.device], Memory | None],
    ) -> None:
        self._spec = spec
        self._narrator = Narrator(emit)
        self._should_stop = should_stop
        self._should_save = should_save
        self._should_finish = should_finish
        self._memory = memory
        self._clock = PhaseClock()
        self._crew: Crew | None = None
        self._saving: Saving | None = None
        self._padding: float | None = None

    def run(self) -> None:
        """Go through the phases; whenever they are interrupted, what was learned is saved first if that is wanted."""
        with ExitStack() as stack:
            try:
                self._go(stack)
            except Interrupted:
                if self._saving is not None and self._should_save():
                    self._saving.save()
                raise

    def _abandon(self, failure: JobFailure) -> None:
        """End this process from another thread, since its own waits for a process that is no more."""
        self._narrator.say(Failed(error=failure.as_dict("training")))
        os._exit(exit_code(failure))

    def _go(self, stack: ExitStack) -> None:
        self._enter("preparing")
        if self._spec.devices > 1:
            refuse_too_few(self._spec, machine.choose_device())
            self._crew = stack.enter_context(Crew(self._spec, self._abandon))
        setup = set_up(self._spec, self._narrator, self._check, self._memory)
        wishes = setup.data.hyperparameters
        portion = Portion(wishes.eval_batch_size, self._narrator.tell_smaller_evaluation)
        judge = Judge.of(self._spec, wishes, setup.device, portion, self._check)
        self._clock.hold_gpus()
        source, ids = self._source(setup, portion), setup.ids_in_use()
        with self._clock.starting():
            team = None if self._crew is None else self._crew.gather(setup, source, ids)
        self._enter("training")
        validation = Validation(setup, judge)
        compact = None if ids is None else Compact(setup.model, ids)
        scores = self._train(setup, source, team, validation, portion)
        if compact is not None:
            compact.release()
        self._enter("evaluating")
        settled = settle(self._spec, setup, judge, scores, validation.answered)
        tested = self._test(setup, settled)
        look_at_data(self._spec, settled, tested)
        certainty = weigh(self._spec, settled.judge, setup.data.encoder, tested, settled.answered)
        self._enter("exporting")
        if setup.packed is not None:
            setup.packed.release()  # from here on the model itself is asked
        digest = hand_over(
            self._spec,
            setup,
            settled,
            test=None if tested is None else tested.evaluation,
            certainty=certainty,
            check=self._check,
            warn=self._narrator.warn,
            verifying=self._clock.verifying,
        )
        peak = machine.peak_memory_mb(setup.device)
        gpus = self._spec.devices if setup.device.type == "cuda" else 0
        usage = self._clock.usage(gpus=gpus, peak_memory_mb=peak, padding_fraction=self._padding)
        self._narrator.say(Used(usage=usage))
        self._narrator.say(BundleReady(manifest_sha256=digest))

    def _enter(self, phase: Phase) -> None:
        self._check()
        self._clock.start(phase)
        self._narrator.say(PhaseStarted(phase=phase))

    def _check(self) -> None:
        if self._should_stop():
            raise Interrupted
        self._narrator.still_alive()

    def _train(
        self, setup: Setup, source: Source, team: Team | None, validation: Validation, portion: Portion
    ) -> Evaluation | None:
        """Train to the best weights; give their evaluation on the validation split, if there is one."""
        compiled = self._compile(setup)
        training = Training(
            setup.model,
            source,
            setup.data.hyperparameters,
            labels=self._spec.labels,
            head=head_parameters(setup.model),
            between=between_parameters(setup.model),
            total_steps=setup.data.total_steps,
            device=setup.device,
            folder=self._spec.work_dir,
            evaluate=None if setup.data.validation is None else validation.evaluate,
            depths=depths(setup.model),
            forward=compiled,
            recompute=recomputing(setup.model),
            problem_type=self._spec.problem_type,
            heads=setup.heads,
            team=team,
        )
        gpus = self._spec.devices if setup.device.type == "cuda" else 0
        finish = Finish(setup.data.hyperparameters, gpus=gpus, asked=self._should_finish)
        finish.begin(self._spec.trained_seconds)
        saving = self._saving = Saving(self._spec, training, self._narrator, finish)
        saving.resume()
        if training.step == 0 and setup.data.hyperparameters.head_init == "probe":
            self._start_head(setup, training, portion)
        for event in training.run(self._should_stop, finish):
            self._narrator.tell(event)
            if isinstance(event, Evaluated) and event.improved:
                saving.best = event.evaluation
                validation.keep()
            if not isinstance(event, Stopped):  # by then the model holds the best weights, not the last
                saving.save_if_due(event)
        if self._crew is not None:
            self._crew.dismiss()
            machine.use_threads(self._spec.threads)
        self._padding = training.padding_fraction
        if setup.packed is not None:
            self._padding = setup.packed.padding_fraction
        return saving.best

    def _start_head(self, setup: Setup, training: Training, portion: Portion) -> None:
        """Fit the output layer to the features of the network as it is."""
        layer = output_layer(setup.model, len(logit_names(setup.heads)))
        portion.of(
            lambda size: start_head(
                setup.asked,
                layer,
                setup.data.train,
                training.loss,
                batch_size=size,
                device=setup.device,
                autocast=training.arithmetic.autocast,
                check=self._check,
            )
        )

    def _source(self, setup: Setup, portion: Portion) -> Source:
        """Give what training draws from, with a teacher's answers where there is one."""
        data, folder = setup.data, self._spec.teacher_dir
        options = data.hyperparameters.distillation
        if options is None or folder is None:
            return data.lessons
        room = Classroom(
            setup.device,
            portion,
            self._spec.request.text,
            self._spec.work_dir,
            self._check,
            token_folder(self._spec),
        )
        return Taught(data.lessons, ask(folder, options, data.rows, self._spec.labels, room))

    def _compile(self, setup: Setup) -> nn.Module:
        if not setup.data.hyperparameters.torch_compile:
            return setup.asked
        compiled = compile_model(setup.model)
        if compiled.obstacle is not None:
            self._narrator.warn(
                JobWarning(
                    code="torch-compile-unavailable",
                    detail=f"torch.compile does not work on this worker ({compiled.obstacle}); training runs without.",
                    remedy="Install a C++ compiler beside the worker, or leave out torch_compile.",
                )
            )
        return compiled.forward

    def _test(self, setup: Setup, settled: Settled) -> Answered | None:
        """Judge the best weights once on the test split, in fp32 as they will be served."""
        if setup.data.test is None:
            return None
        bound = self._spec.request.decision.abstain_below
        tested = settled.judge.answer(setup.asked, setup.data.test, "test")
        tasks = {
            task.head.name: calibrated_task(
                settled.further[task.head.name],
                settled.further[task.head.name].answer(setup.asked, task.test, "test"),
                bound,
            )
            for task in setup.tasks
            if task.test is not None
        }
        test = calibrated(settled.judge, tested, bound).model_copy(update={"tasks": tasks})
        self._narrator.tell_test(test)
        return replace(tested, evaluation=test)
