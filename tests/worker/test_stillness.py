"""Telling what works from what is stuck in a call."""

import subprocess
import sys
import threading
import time

from worker import stillness


def in_a_thread(work):
    """Let a thread watch itself and then work."""
    found, ready = [], threading.Event()

    def run():
        found.append(stillness.of_this_thread())
        ready.set()
        work()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(5.0)
    return found[0], thread


def test_a_thread_that_is_stuck_in_a_call_is_still():
    leave = threading.Event()
    watch, thread = in_a_thread(leave.wait)
    time.sleep(0.05)
    watch.seconds()  # what it did before it got stuck
    time.sleep(0.25)
    assert watch.seconds() >= 0.2
    leave.set()
    thread.join()
    watch.seconds()  # of one that has ended nothing is known, and that is no harm


def test_a_thread_that_waits_in_turns_is_not():
    ended = threading.Event()

    def in_turns():
        while not ended.wait(0.02):
            pass

    watch, _ = in_a_thread(in_turns)
    for _ in range(4):
        time.sleep(0.1)
        assert watch.seconds() < 0.1
    ended.set()


def test_a_process_is_known_by_what_it_reads_and_writes():
    talk = "import sys\nfor line in sys.stdin: print(line, flush=True)"
    with subprocess.Popen([sys.executable, "-c", talk], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(b"hello\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.readline()
        watch = stillness.of_process(process.pid)
        time.sleep(0.2)
        assert watch.seconds() >= 0.2
        process.stdin.write(b"again\n")
        process.stdin.flush()
        process.stdout.readline()
        assert watch.seconds() < 0.1
    assert watch.seconds() < 0.1  # it has ended: nothing is known any more


def test_without_a_number_nothing_is_taken_for_stuck():
    watch = stillness.Stillness(lambda: None)
    time.sleep(0.05)
    assert watch.seconds() < 0.05
