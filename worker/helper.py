"""A process that helps the training process of a job: it computes gradients on a device of its own, as it is told.

``python -m worker.helper --parent 4242``, with an assignment and then orders on stdin; it ends when they do.
"""

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import torch
from torch import nn
from transformers.utils import logging as transformers_logging

from app.text.tokenizer import TextEncoder
from worker import device as machine
from worker.child import die_with_parent, keep_freed_memory, leave, volunteer_for_oom_killer
from worker.data.batches import Batches
from worker.data.shared import read_ids, read_split, read_teacher
from worker.events import EXIT_BROKEN, EXIT_DONE, FINISH, SAVE_AND_STOP
from worker.heads import heads_of, logit_names
from worker.models.compact import Compact
from worker.models.depth import depths
from worker.models.head import between_parameters, head_parameters, set_dropout
from worker.models.packed import packed
from worker.models.recompute import recompute, recomputing
from worker.models.registry import reload
from worker.orders import Assignment, Order, parse_order
from worker.teaching import Taught
from worker.training.compiling import compile_model
from worker.training.following import follow
from worker.training.loop import Training
from worker.training.source import Source
from worker.training.team import Team, meet


def serve(assignment: Assignment, orders: Iterator[Order]) -> None:
    """Do what is ordered until nothing more is."""
    device = machine.choose_device()
    torch.set_num_threads(assignment.threads)
    machine.use_deterministic(assignment.hyperparameters.deterministic)
    machine.seed_everything(assignment.hyperparameters.seed)
    team = Team(assignment.rank, assignment.size)
    training = _training(assignment, device, team)
    meet(assignment.meeting, assignment.rank, assignment.size, device)
    follow(training, team, orders, fingerprint=assignment.spec.fingerprint)


def _training(assignment: Assignment, device: torch.device, team: Team) -> Training:
    spec, wishes, heads = assignment.spec, assignment.hyperparameters, heads_of(assignment.spec)
    model = reload(spec.request.family, assignment.folder, logit_names(heads))
    set_dropout(model, wishes.dropout)
    if wishes.gradient_checkpointing:
        recompute(model)
    nn.Module.to(model, device)
    if (ids := read_ids(assignment.folder)) is not None:
        Compact(model, ids)
    asked: nn.Module = packed(model) if assignment.packed else model
    return Training(
        model,
        _source(assignment),
        wishes,
        labels=spec.labels,
        head=head_parameters(model),
        between=between_parameters(model),
        total_steps=assignment.total_steps,
        device=device,
        folder=assignment.folder,
        evaluate=None,
        depths=depths(model),
        forward=compile_model(model).forward if wishes.torch_compile else asked,
        recompute=recomputing(model),
        problem_type=spec.problem_type,
        heads=heads,
        team=team,
    )


def _source(assignment: Assignment) -> Source:
    """Draw from the leader's rows; which ones, every order says."""
    content = assignment.tokenizer.read_bytes()
    encoder = TextEncoder.from_files(content, assignment.settings, assignment.spec.request.text)
    batches = Batches(read_split(assignment.folder), encoder)
    answers = read_teacher(assignment.folder)
    return batches if answers is None else Taught(batches, torch.from_numpy(answers))


def _orders(lines: BinaryIO) -> Iterator[Order]:
    while line := lines.readline():
        yield parse_order(line)


def main(arguments: Sequence[str]) -> int:
    """Wait for an assignment; stdin closed without one means that nobody needs this process."""
    parser = argparse.ArgumentParser(prog="python -m worker.helper", description=__doc__)
    parser.add_argument("--parent", type=int, required=True, help="process id of the training process")
    die_with_parent(parser.parse_args(arguments).parent)
    volunteer_for_oom_killer()
    keep_freed_memory()
    for number in (signal.SIGTERM, signal.SIGINT, SAVE_AND_STOP, FINISH):
        signal.signal(number, signal.SIG_IGN)  # the leader decides what they mean
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    lines = os.fdopen(os.dup(0), "rb")
    if line := lines.readline():
        serve(Assignment.model_validate_json(line), _orders(lines))
    return EXIT_DONE


if __name__ == "__main__":
    try:
        status = main(sys.argv[1:])
    except Exception:  # noqa: BLE001 - the leader sees the end, the log of the attempt says why
        traceback.print_exc()
        status = EXIT_BROKEN
    leave(status)
