"""How fast /predict answers, beside what the hardware can do and beside other servers, in one run.

    python -m bench.predict DATA --quick
    python -m bench.predict DATA --only tunesmith litserve --clients 8 32

DATA holds train.jsonl, validation.jsonl and test.jsonl with ``text`` and ``label``. A service trains the packaged
MiniLM on some of them and exports it in fp32 and int8; the floor (tokenizers and onnxruntime in one process), this
service and each rival then answer the test texts, one text a request, for the same client. Floor and rivals have the
same weights in the usual export, and a second floor has this service's own. Every round starts every
contender afresh and measures all of them, in another order; the figures are medians over the rounds. Rivals live in
virtual environments of their own below --cache, made once; what cannot be installed is named and left out.

Without --quick: 5 rounds of 8 s for each number of clients. --quick: 2 rounds of 3 s, within 15 minutes on two cores
once the environments exist. The last line is one JSON object.
"""

import argparse
import json
import os
import random
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from bench.contenders import CONTENDERS, Contender, install, served
from bench.subject import OWN_FILE, PRECISIONS, ROOT, Subject, make

OWN, FLOOR, OWN_FLOOR = "tunesmith", "floor", "floor, own export"
GRAPHS = {FLOOR: "model.onnx", OWN_FLOOR: OWN_FILE}
CHECKED = 40
"""Texts whose labels are compared with the floor's before anything is timed."""
AGREEMENT = 0.9
"""Share that must be equal: rivals pad and batch int8 activations in other ways, which moves labels on the fence."""

Found = dict[str, Any]


def main() -> None:
    options = parse()
    subject = make(options.data, options.work, train_rows=options.train_rows, texts=options.texts, seed=options.seed)
    texts = json.loads(subject.texts.read_text())
    pythons, missing = prepare(options)
    print(f"{machine()}\n{len(texts)} texts, {options.rounds} rounds of {options.seconds} s", flush=True)
    results: dict[str, dict[str, list[Found]]] = {precision: {} for precision in options.precisions}
    for number in range(options.rounds):
        for precision in options.precisions:
            runs = results[precision]
            for name in GRAPHS:
                runs.setdefault(name, []).append(floor(name, subject, precision, options.seconds))
            labels = [subject.labels[index] for index in runs[FLOOR][0]["labels"]]
            entrants = [one for one in CONTENDERS if one.name in pythons and precision in one.precisions]
            random.Random(number).shuffle(entrants)
            for contender in entrants:
                try:
                    found = one_run(contender, pythons[contender.name], subject, precision, texts, labels, options)
                except (RuntimeError, subprocess.CalledProcessError) as error:
                    missing[f"{contender.name} {precision}"] = str(error)
                    print(f"{contender.name} {precision}: {error}", flush=True)
                    continue
                runs.setdefault(contender.name, []).append(found)
                tell(number, precision, contender.name, found)
    summary = {precision: summarize(runs, options.clients) for precision, runs in results.items()}
    for precision, found in summary.items():
        print_table(precision, found, options.clients)
    print(json.dumps(verdict(summary, options.clients, missing)))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", choices=[one.name for one in CONTENDERS], metavar="NAME")
    parser.add_argument("--precisions", nargs="+", choices=list(PRECISIONS), default=list(PRECISIONS))
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 8, 32, 64])
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each measurement")
    parser.add_argument("--train-rows", type=int, default=600)
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=42)
    cache = Path.home() / ".cache" / "tunesmith-bench"
    parser.add_argument("--cache", type=Path, default=cache / "rivals", help="where rivals are installed")
    parser.add_argument("--work", type=Path, default=cache / "predict", help="where the trained model is kept")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.seconds = options.seconds or (3.0 if options.quick else 8.0)
    options.work = options.work.absolute()
    return options


def prepare(options: argparse.Namespace) -> tuple[dict[str, Path], dict[str, str]]:
    """Install what is to be measured; give the interpreters, and why some are missing."""
    pythons: dict[str, Path] = {}
    missing: dict[str, str] = {}
    for contender in CONTENDERS:
        if options.only is None or contender.name in options.only:
            try:
                pythons[contender.name] = install(contender, options.cache)
            except (RuntimeError, subprocess.CalledProcessError) as error:
                missing[contender.name] = f"cannot be installed: {error}"
                print(f"{contender.name} {missing[contender.name]}", flush=True)
    return pythons, missing


def floor(name: str, subject: Subject, precision: str, seconds: float) -> Found:
    """Measure a floor in a fresh process."""
    command = [sys.executable, "-m", "bench.floor", str(subject.folders[precision]), str(subject.texts)]
    command += ["--seconds", str(seconds / 3), "--file", GRAPHS[name]]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    found: Found = json.loads(done.stdout.splitlines()[-1])
    print(f"{name} {precision}: {found['texts_per_second']} texts/s ({found['best_policy']}), alone {found['alone']}")
    return found


def one_run(
    contender: Contender,
    python: Path,
    subject: Subject,
    precision: str,
    texts: list[str],
    labels: list[str],
    options: argparse.Namespace,
) -> Found:
    """Start a contender, check that it answers as the floor does, and measure it."""
    with served(contender, python, subject, precision, options.work / "logs") as server:
        answers = [server.ask(text) for text in texts[:CHECKED]]
        agreement = sum(map(str.__eq__, answers, labels)) / CHECKED
        if agreement < AGREEMENT:
            raise RuntimeError(f"gives other labels than the model: {agreement:.0%} agree")
        found: Found = {"start_seconds": round(server.start_seconds, 2), "agreement": agreement}
        for clients in options.clients:
            found[str(clients)] = server.load(texts, clients, min(1.0, options.seconds / 3), options.seconds)
        found["megabytes"] = round(server.megabytes())
        return found


def tell(number: int, precision: str, name: str, found: Found) -> None:
    rates = "  ".join(f"{key}: {one['texts_per_second']}" for key, one in found.items() if isinstance(one, dict))
    print(f"round {number + 1} {precision} {name:17} {rates}", flush=True)


def summarize(runs: dict[str, list[Found]], clients: list[int]) -> dict[str, Found]:
    """Take medians over the rounds."""
    found: dict[str, Found] = {}
    for name, several in runs.items():
        if name in GRAPHS:
            best = median(one["texts_per_second"] for one in several)
            lone = {key: median(one["alone"][key] for one in several) for key in several[0]["alone"]}
            policies = sorted(one["best_policy"] for one in several)
            found[name] = {"texts_per_second": best, "alone": lone, "best_policy": policies[len(policies) // 2]}
            found[name]["cpu_ms_per_text"] = median(one["cpu_ms_per_text"] for one in several)
            continue
        found[name] = {key: median(one[key] for one in several) for key in ("start_seconds", "megabytes")}
        for count in map(str, clients):
            keys = [key for key in several[0][count] if key != "failed"]
            found[name][count] = {key: median(one[count][key] for one in several) for key in keys}
            failed = [one[count]["failed"] for one in several if one[count]["failed"]]
            found[name][count] |= {"failed": failed} if failed else {}
    return found


def print_table(precision: str, found: dict[str, Found], clients: list[int]) -> None:
    print(f"\n{precision}: texts/s (p50 / p95 / p99 ms) by number of clients")
    print(f"{'':17}" + "".join(f"{count:>30}" for count in clients) + f"{'MB':>7}{'start s':>9}")
    for name, one in found.items():
        if name in GRAPHS:
            print(f"{name:17}  {one['texts_per_second']:.0f} ({one['best_policy']}), alone {one['alone']}")
            continue
        cells = [one[str(count)] for count in clients]
        words = [
            f"{c['texts_per_second']:.0f} ({c['p50_ms']:.1f} / {c['p95_ms']:.1f} / {c['p99_ms']:.1f})" for c in cells
        ]
        line = "".join(f"{word:>30}" for word in words)
        print(f"{name:17}{line}{one['megabytes']:7.0f}{one['start_seconds']:9.2f}")


def verdict(summary: dict[str, dict[str, Found]], clients: list[int], missing: dict[str, str]) -> Found:
    """Compare: of the floor its best batches, for a single client its texts one at a time."""
    names = ("ratio_to_floor", "ratio_to_own_floor", "ratio_to_best_rival", "best_rival", "p99_to_p50")
    ratios: Found = {name: {} for name in names}
    for precision, found in summary.items():
        for part in ratios.values():
            part[precision] = {}
        for count in map(str, clients):
            if OWN not in found:
                continue
            own = found[OWN][count]
            for kind, name in (("ratio_to_floor", FLOOR), ("ratio_to_own_floor", OWN_FLOOR)):
                base = found[name]["alone"] if count == "1" else found[name]
                ratios[kind][precision][count] = round(own["texts_per_second"] / base["texts_per_second"], 3)
            ratios["p99_to_p50"][precision][count] = round(own["p99_ms"] / max(own["p50_ms"], 0.01), 2)
            rivals = {name: one[count]["texts_per_second"] for name, one in found.items() if name not in (OWN, *GRAPHS)}
            if rivals:
                best = max(rivals, key=lambda name: rivals[name])
                ratios["best_rival"][precision][count] = best
                ratio = own["texts_per_second"] / max(rivals[best], 0.1)
                ratios["ratio_to_best_rival"][precision][count] = round(ratio, 3)
    return ratios | {"not_measured": missing, "machine": machine(), "figures": summary}


def machine() -> str:
    """Name what the figures were taken on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    model = next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown processor"
    )
    libraries = ", ".join(f"{name} {version(name)}" for name in ("onnxruntime", "tokenizers", "fastapi", "uvicorn"))
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    return f"{cores} cores of {model}, Python {sys.version.split()[0]}, {libraries}, load {load:.1f}"


if __name__ == "__main__":
    main()
