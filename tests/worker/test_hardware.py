"""What a worker says it trains on."""

import stat

from app.processors import usable_cpus
from worker.hardware import Hardware, detect


def fake_tool(folder, answer, exit_code=0):
    """Put an nvidia-smi on a PATH of its own."""
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\nprintf '{answer}'\nexit {exit_code}\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    return str(folder)


def test_gpus_are_named_and_shared_out(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", fake_tool(tmp_path, "NVIDIA H100\\nNVIDIA H100\\n"))
    hardware = detect({})
    assert hardware == Hardware("NVIDIA H100 and 1 more", ("0", "1"))
    assert hardware.queues == ("default", "gpu")
    assert hardware.devices == 2


def test_the_operators_choice_of_gpus_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", fake_tool(tmp_path, "NVIDIA H100\\nNVIDIA H100\\n"))
    assert detect({"CUDA_VISIBLE_DEVICES": "1"}) == Hardware("NVIDIA H100", ("1",))
    assert detect({"CUDA_VISIBLE_DEVICES": ""}).gpus == ()
    assert detect({"CUDA_VISIBLE_DEVICES": "-1"}).gpus == ()


def test_a_driver_that_does_not_answer_means_processor(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", fake_tool(tmp_path, "Failed to initialize NVML", exit_code=9))
    hardware = detect({})
    assert hardware.gpus == ()
    assert hardware.name.startswith("cpu (")
    assert hardware.queues == ("default", "cpu")
    assert hardware.devices == usable_cpus()
    assert f", {usable_cpus()} core" in hardware.name
