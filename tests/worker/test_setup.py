"""What is decided before the first step reaches the model."""

import pytest

from tests.worker.toy_task import MakeSpec, Recording, toy_rows
from worker.narration import Narrator
from worker.setup import set_up

pytestmark = pytest.mark.usefixtures("restored_torch")


@pytest.mark.parametrize("wish", [True, False])
def test_gradient_checkpointing_is_as_wished(make_spec: MakeSpec, recording: Recording, wish: bool) -> None:
    spec = make_spec(toy_rows(12), gradient_checkpointing=wish)
    setup = set_up(spec, Narrator(recording), lambda: None)
    assert setup.model.is_activation_checkpointing is wish
