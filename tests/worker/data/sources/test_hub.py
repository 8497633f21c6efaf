"""Datasets of the hub through the real libraries, the hub as a server on a loopback port."""

import dataclasses
import hashlib
import io
from pathlib import Path

import datasets
import pytest

from app.errors import AppError, JobFailure
from app.schemas.datasets import SplitPolicy
from app.schemas.sources import HubSource
from worker.data.sources import import_rows

NAMES = ["negative", "positive"]
ROWS = [{"text": f"text {number}", "label": number % 2} for number in range(40)]
CARD = """---
configs:
- config_name: english
  data_files:
  - split: train
    path: english/train-*
  - split: validation
    path: english/validation-*
- config_name: german
  data_files:
  - split: train
    path: german/*
dataset_info:
- config_name: english
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': negative
          '1': positive
  splits:
  - name: train
    num_bytes: 1
    num_examples: 999
---
# A card
"""


@pytest.fixture
def load(surroundings, tmp_path, make):
    """Import a source and give its record and its rows."""
    count = iter(range(100))

    def load(wanted=None, *, hub=None, limits=None, **options):
        here = dataclasses.replace(surroundings, hub=hub or surroundings.hub, limits=limits or surroundings.limits)
        folder = tmp_path / f"import-{next(count)}"
        (folder / "scratch").mkdir(parents=True)
        record = import_rows(wanted or HubSource(**options), here, folder / "rows.jsonl", scratch=folder / "scratch")
        content = (folder / "rows.jsonl").read_bytes()
        assert record.rows_sha256 == hashlib.sha256(content).hexdigest()
        assert record.bytes == len(content)
        assert sorted(path.name for path in folder.iterdir()) == ["rows.jsonl", "scratch"]
        return record, make.read(folder / "rows.jsonl")

    return load


@pytest.fixture
def reviews(loopback, make):
    """A dataset with two configurations, in two files of one split, with class names in its card."""
    plain = {name: ROWS[start : start + 20] for name, start in (("0", 0), ("1", 20))}
    loopback.repos["acme/reviews"] = {
        "main": {
            "README.md": CARD.encode(),
            "english/train-00000-of-00002.parquet": make.parquet(plain["0"]),
            "english/train-00001-of-00002.parquet": make.parquet(plain["1"]),
            "english/validation-00000-of-00001.parquet": make.parquet(ROWS[:6]),
            "german/train.parquet": make.parquet([{"text": "gut", "label": 1}, {"text": "schlecht", "label": 0}]),
            "script.py": b"raise SystemExit",
        }
    }
    return "acme/reviews"


def test_a_configuration_becomes_canonical_rows_with_names_for_labels(load, reviews, loopback):
    record, rows = load(dataset=reviews, config="english", split=SplitPolicy(test_fraction=0))
    assert rows[0] == {"text": "text 0", "label": "negative", "split": "train"}
    assert [row["text"] for row in rows] == [row["text"] for row in (*ROWS, *ROWS[:6])]
    assert [row["label"] for row in rows] == [NAMES[row["label"]] for row in (*ROWS, *ROWS[:6])]
    assert [row["split"] for row in rows] == ["train"] * 40 + ["validation"] * 6
    assert record.labels == NAMES
    assert record.counts == {
        "train": {"negative": 20, "positive": 20},
        "validation": {"negative": 3, "positive": 3},
    }
    assert record.skipped == {}
    assert (record.revision, record.config) == (loopback.commit(reviews), "english")
    assert record.endpoint == loopback.url
    assert record.options["dataset"] == reviews


def test_only_the_files_of_the_configuration_are_downloaded_and_each_is_pinned(load, reviews, loopback):
    record, _ = load(dataset=reviews, config="english")
    assert [file.path for file in record.files] == [
        "english/train-00000-of-00002.parquet",
        "english/train-00001-of-00002.parquet",
        "english/validation-00000-of-00001.parquet",
    ]
    for file in record.files:
        content = loopback.repos[reviews]["main"][file.path]
        assert (file.bytes, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert not [request for request in loopback.requests if "german" in request or "script" in request]


def test_the_same_import_gives_the_same_bytes(load, reviews):
    first, again = (load(dataset=reviews, config="english")[0] for _ in range(2))
    assert first.rows_sha256 == again.rows_sha256


def test_a_commit_can_be_named_and_cached_files_are_not_fetched_again(load, reviews, loopback):
    record, _ = load(dataset=reviews, config="english")
    before = len(loopback.requests)
    again, _ = load(dataset=reviews, config="english", revision=record.revision)
    assert again.rows_sha256 == record.rows_sha256
    assert [request for request in loopback.requests[before:] if "/resolve/" in request] == []


def test_rows_without_test_split_are_divided_by_the_policy(load, reviews):
    record, _ = load(dataset=reviews, config="english", split=SplitPolicy(test_fraction=0.2))
    assert record.counts["test"] == {"negative": 4, "positive": 4}
    assert record.counts["train"] == {"negative": 16, "positive": 16}


def test_a_part_of_files_and_rows(load, reviews):
    record, rows = load(
        dataset=reviews, config="english", files_per_split=1, rows_per_split=5, split=SplitPolicy(test_fraction=0)
    )
    assert record.files[0].path == "english/train-00000-of-00002.parquet"
    assert len(record.files) == 2
    assert [row["split"] for row in rows] == ["train"] * 5 + ["validation"] * 5
    assert {row["text"] for row in rows[:5]} < {row["text"] for row in ROWS[:20]}


def test_a_configuration_must_be_named_when_there_are_several(load, reviews):
    with pytest.raises(JobFailure) as failure:
        load(dataset=reviews)
    assert failure.value.code == "config-needed"
    assert "english, german" in failure.value.detail


def test_an_unknown_configuration_is_refused_with_the_nearest(load, reviews):
    with pytest.raises(JobFailure) as failure:
        load(dataset=reviews, config="englisch")
    assert (failure.value.code, failure.value.remedy) == ("unknown-config", "Did you mean 'english'?")


@pytest.mark.parametrize(
    ("options", "column"), [({"text_column": "texts"}, "text"), ({"label_column": "labels"}, "label")]
)
def test_a_missing_column_is_refused_with_the_nearest(load, reviews, options, column):
    with pytest.raises(JobFailure) as failure:
        load(dataset=reviews, config="english", **options)
    assert (failure.value.code, failure.value.remedy) == ("missing-column", f"Did you mean '{column}'?")


def test_plain_files_without_a_card(load, loopback, make):
    loopback.repos["plain"] = {
        "main": {
            "data/train.csv": b"text,label\n" + b"".join(b"a%d,%s\n" % (n, [b"no", b"yes"][n % 2]) for n in range(20)),
            "data/dev.csv": b"text,label\nq,no\nr,yes\n",
            "data/test.csv": b"text,label\ns,no\nt,yes\n",
        }
    }
    record, rows = load(dataset="plain")
    assert {split: sum(labels.values()) for split, labels in record.counts.items()} == {
        "train": 20,
        "validation": 2,
        "test": 2,
    }
    assert record.labels == ["no", "yes"]
    assert rows[0] == {"text": "a0", "label": "no", "split": "train"}


def test_tabs_and_json_lines(load, loopback, make):
    rows = [{"review": f"r{number}", "stars": number % 3, "hard": number / 2} for number in range(30)]
    table = "review\tstars\thard\n" + "".join(f"{row['review']}\t{row['stars']}\t{row['hard']}\n" for row in rows)
    loopback.repos["acme/tsv"] = {"main": {"train.tsv": table.encode()}}
    loopback.repos["acme/jsonl"] = {"main": {"train.jsonl": make.jsonl(rows)}}
    options = {
        "text_column": "review",
        "label_column": "stars",
        "label_names": ["bad", "fair", "good"],
        "difficulty_column": "hard",
    }
    (record, tabs), (_, lines) = (load(dataset=f"acme/{kind}", **options) for kind in ("tsv", "jsonl"))
    assert tabs == lines
    assert record.labels == ["bad", "fair", "good"]
    assert {(row["text"], row["difficulty"]) for row in tabs} == {(row["review"], row["hard"]) for row in rows}


def test_splits_can_be_named(load, loopback, make):
    loopback.repos["odd"] = {"main": {"big.jsonl": make.jsonl(ROWS), "small.jsonl": make.jsonl(ROWS[:4])}}
    card = "configs:\n- config_name: default\n  data_files:\n  - split: main\n    path: big.jsonl\n"
    loopback.repos["odd"]["main"]["README.md"] = f"---\n{card}  - split: gold\n    path: small.jsonl\n---\n".encode()
    with pytest.raises(JobFailure) as failure:
        load(dataset="odd")
    assert failure.value.code == "no-training-split"
    assert "main, gold" in failure.value.detail
    record, _ = load(dataset="odd", splits={"train": "main", "test": "gold"}, split=SplitPolicy(validation_fraction=0))
    assert {split: sum(labels.values()) for split, labels in record.counts.items()} == {"train": 40, "test": 4}
    with pytest.raises(JobFailure) as failure:
        load(dataset="odd", splits={"train": "nain"})
    assert failure.value.code == "unknown-split"


def test_unusable_rows_are_left_out_and_counted(load, loopback, make):
    good = [{"text": f"t{number}", "label": number % 2} for number in range(10)]
    poor = [
        {"text": None, "label": 0},
        {"text": "  ", "label": 1},
        {"text": "unlabelled", "label": -1},
        {"text": "unlabelled too", "label": None},
        {"text": "x" * 1001, "label": 0},
        {"text": "nul \0", "label": 0},
    ]
    loopback.repos["poor"] = {"main": {"train.parquet": make.parquet(good + poor, classes={"label": NAMES})}}
    record, rows = load(dataset="poor")
    assert sorted(row["text"] for row in rows) == [row["text"] for row in good]
    assert record.skipped == {"no-text": 2, "no-label": 2, "text-too-long": 1, "invalid-text": 1}


def test_class_names_travel_in_the_parquet_file_and_can_be_renamed(load, loopback, make):
    loopback.repos["named"] = {"main": {"train.parquet": make.parquet(ROWS, classes={"label": ["neg", "pos"]})}}
    assert load(dataset="named")[0].labels == ["neg", "pos"]
    assert load(dataset="named", label_names=["bad", "good"])[0].labels == ["bad", "good"]
    assert load(dataset="named", label_names={"pos": "good", "neg": "bad"})[0].labels == ["bad", "good"]
    # The same names in another order: names count, not places.
    record, rows = load(dataset="named", label_names=["pos", "neg"])
    assert record.labels == ["pos", "neg"]
    assert {row["text"]: row["label"] for row in rows}["text 0"] == "neg"
    with pytest.raises(JobFailure) as failure:
        load(dataset="named", label_names=["only one"])
    assert failure.value.code == "unnamed-label"


@pytest.mark.parametrize("values", [[0.5, 1.5], [True, False], [[["a"]], [["b"]]], [[0.5], [1.5]]])
def test_scores_booleans_and_lists_of_lists_are_no_labels(load, loopback, make, values):
    rows = [{"text": f"t{number}", "label": value} for number, value in enumerate(values)]
    loopback.repos["scores"] = {"main": {"train.parquet": make.parquet(rows)}}
    with pytest.raises(JobFailure) as failure:
        load(dataset="scores")
    assert failure.value.code == "invalid-label"


TOPICS = ["billing", "delivery", "praise"]
SETS = [[], [0], [1, 0], [2], [0, 2], [1]]
TOPIC_ROWS = [{"text": f"text {number}", "label": SETS[number % len(SETS)]} for number in range(36)]


def as_sets(rows):
    """Give the labels of each text."""
    return {row["text"]: row["labels"] for row in rows}


@pytest.mark.parametrize("form", ["numbers of named classes", "names", "numbers with names in the request"])
def test_a_column_of_lists_becomes_sets_of_labels(load, loopback, form):
    named = {f"text {number}": [TOPICS[topic] for topic in SETS[number % len(SETS)]] for number in range(36)}
    rows = TOPIC_ROWS if "numbers" in form else [{"text": text, "label": names} for text, names in named.items()]
    table = datasets.Dataset.from_list(rows)
    if form == "numbers of named classes":
        table = table.cast_column("label", datasets.List(datasets.ClassLabel(names=TOPICS)))
    buffer = io.BytesIO()
    table.to_parquet(buffer)
    loopback.repos["acme/topics"] = {"main": {"train.parquet": buffer.getvalue()}}
    options = {"label_names": TOPICS} if form == "numbers with names in the request" else {}
    record, written = load(dataset="acme/topics", **options)
    assert as_sets(written) == named
    assert (record.problem_type, record.labels) == ("multi_label", TOPICS)
    assert {label: sum(counts[label] for counts in record.counts.values()) for label in TOPICS} == {
        "billing": 18,
        "delivery": 12,
        "praise": 12,
    }
    assert all(min(counts.values()) > 0 for counts in record.counts.values())  # divided by the rarest label of a row


def test_delimited_text_becomes_sets_of_labels(load, loopback):
    lines = [f"t{number},{'|'.join(TOPICS[topic] for topic in SETS[number % 6])}\n" for number in range(36)]
    loopback.repos["acme/flat"] = {"main": {"train.csv": ("text,label\n" + "".join(lines)).encode()}}
    record, written = load(dataset="acme/flat", label_delimiter="|")
    assert as_sets(written)["t0"] == []
    assert as_sets(written)["t2"] == ["delivery", "billing"]
    assert (record.problem_type, record.labels, record.skipped) == ("multi_label", TOPICS, {})
    names = {"billing": "Money", "delivery": "Parcels", "praise": "Money"}
    record, written = load(dataset="acme/flat", label_delimiter="|", label_names=names)
    assert as_sets(written)["t4"] == ["Money"]
    assert record.labels == ["Money", "Parcels"]


def test_sets_that_nobody_labelled_are_left_out(load, loopback, make):
    rows = [*TOPIC_ROWS, {"text": "open", "label": None}, {"text": "half open", "label": [1, None]}]
    loopback.repos["acme/open"] = {"main": {"train.jsonl": make.jsonl(rows)}}
    record, written = load(dataset="acme/open", label_names=TOPICS)
    assert len(written) == 36
    assert record.skipped == {"no-label": 2}


def test_a_nought_or_a_one_for_each_class_is_not_taken_for_numbers_of_classes(load, loopback, make):
    rows = [{"text": f"t{number}", "label": [number % 2, 0, 1]} for number in range(10)]
    loopback.repos["acme/hot"] = {"main": {"train.jsonl": make.jsonl(rows)}}
    with pytest.raises(JobFailure) as failure:
        load(dataset="acme/hot", label_names=TOPICS)
    assert failure.value.code == "invalid-label"
    assert "for each class" in failure.value.remedy


def test_rows_without_a_difficulty_are_left_out_where_one_is_wanted(load, loopback, make):
    rows = [row | {"hard": number / 2} for number, row in enumerate(ROWS)]
    loopback.repos["acme/hard"] = {
        "main": {"train.jsonl": make.jsonl([*rows, {"text": "x", "label": 0, "hard": None}])}
    }
    record, written = load(dataset="acme/hard", difficulty_column="hard")
    assert {row["text"]: row["difficulty"] for row in written} == {row["text"]: row["hard"] for row in rows}
    assert (record.has_difficulties, record.skipped) == (True, {"no-difficulty": 1})


def test_values_of_slice_columns_are_kept_classes_by_their_names(load, loopback, make):
    rows = [row | {"tongue": number % 2, "year": 2024 + number % 3} for number, row in enumerate(ROWS)]
    loopback.repos["acme/where"] = {"main": {"train.parquet": make.parquet(rows, classes={"tongue": ["en", "fr"]})}}
    record, written = load(dataset="acme/where", slice_columns=["tongue", "year"], label_names=NAMES)
    assert record.slices == {"tongue": {"en": 20, "fr": 20}, "year": {"2024": 14, "2025": 13, "2026": 13}}
    by_text = {row["text"]: row["slices"] for row in written}
    assert by_text["text 3"] == {"tongue": "fr", "year": "2024"}


@pytest.mark.parametrize(
    ("column", "code"), [("tonge", "missing-column"), ("number", "too-many-slices"), ("share", "invalid-slice")]
)
def test_columns_that_group_no_rows_are_refused(load, loopback, make, column, code):
    rows = [{"text": f"t{n}", "label": n % 2, "tongue": "en", "number": n, "share": n / 7} for n in range(60)]
    loopback.repos["acme/odd"] = {"main": {"train.jsonl": make.jsonl(rows)}}
    with pytest.raises(AppError) as failure:
        load(dataset="acme/odd", slice_columns=[column])
    assert failure.value.code == code
    [error] = failure.value.errors
    assert column in f"{failure.value.detail} {error.pointer}"


def test_a_repository_with_only_a_script_is_read_from_the_hubs_conversion(load, loopback, make):
    converted = make.parquet(ROWS, classes={"label": NAMES})
    loopback.repos["acme/scripted"] = {
        "main": {"scripted.py": b"raise SystemExit", "README.md": b"---\nconfigs:\n- english\n- german\n---\n"},
        "refs/convert/parquet": {
            "english/train/0000.parquet": converted,
            "english/test/0000.parquet": make.parquet(ROWS[:4], classes={"label": NAMES}),
            "german/train/0000.parquet": converted,
        },
    }
    record, _ = load(dataset="acme/scripted", config="english", split=SplitPolicy(validation_fraction=0))
    assert record.revision == loopback.commit("acme/scripted", "refs/convert/parquet")
    assert {split: sum(labels.values()) for split, labels in record.counts.items()} == {"train": 40, "test": 4}
    assert "refs/convert/parquet" in record.notes[0]
    assert record.labels == NAMES
    with pytest.raises(JobFailure) as failure:
        load(dataset="acme/scripted", config="english", revision="main")
    assert failure.value.code == "no-data-files"
    assert "scripts from the hub are never run" in failure.value.detail


def test_what_is_no_table_is_refused_by_kind(load, loopback):
    loopback.repos["images"] = {"main": {"train/a.jpg": b"x", "model.pkl": b"x", "README.md": b"# no metadata"}}
    with pytest.raises(JobFailure) as failure:
        load(dataset="images")
    assert failure.value.code == "no-data-files"
    assert ".jpg" in failure.value.detail and ".pkl" in failure.value.detail


@pytest.mark.parametrize("path", ["/etc/*.json", "../secret.jsonl", "https://example.org/x.jsonl", "~/x.json"])
def test_a_card_cannot_point_outside_of_its_repository(load, loopback, make, tmp_path, path):
    (tmp_path / "secret.jsonl").write_bytes(make.jsonl(ROWS))
    card = f"---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: '{path}'\n---\n"
    loopback.repos["evil"] = {"main": {"README.md": card.encode(), "train.jsonl": make.jsonl(ROWS[:8])}}
    _, rows = load(dataset="evil")  # the entry is ignored, the repository's own files are read
    assert len(rows) == 8


def test_file_names_cannot_leave_the_scratch_folder(load, loopback, make, tmp_path):
    loopback.repos["evil"] = {"main": {"../../escaped.jsonl": make.jsonl(ROWS), "train.jsonl": make.jsonl(ROWS[:8])}}
    _, rows = load(dataset="evil")
    assert len(rows) == 8
    assert not list(tmp_path.rglob("escaped.jsonl"))


@pytest.mark.parametrize("content", [b"PAR1 broken", b""])
def test_a_broken_file_is_refused_in_words(load, loopback, content):
    loopback.repos["broken"] = {"main": {"train.parquet": content}}
    with pytest.raises(JobFailure) as failure:
        load(dataset="broken")
    assert failure.value.code == "unreadable-dataset"


def test_a_card_that_is_no_yaml_is_ignored(load, loopback, make):
    loopback.repos["odd"] = {"main": {"README.md": b"---\n: [\n---\n", "train.jsonl": make.jsonl(ROWS)}}
    assert len(load(dataset="odd")[1]) == 40


def test_a_damaged_download_is_repeated_once(load, reviews, loopback):
    loopback.damage = 1
    record, _ = load(dataset=reviews, config="english")
    assert sum(record.counts["train"].values()) + sum(record.counts["test"].values()) == 40
    loopback.repos["again"] = loopback.repos[reviews]
    loopback.damage = 2
    with pytest.raises(JobFailure) as failure:
        load(dataset="again", config="english")
    assert failure.value.code == "damaged-download"


def test_an_unknown_dataset_revision_or_a_gated_one(load, reviews, loopback):
    loopback.gated.add("acme/secret")
    for options, code in (
        ({"dataset": "acme/none"}, "unknown-dataset"),
        ({"dataset": reviews, "revision": "v9"}, "unknown-revision"),
        ({"dataset": "acme/secret"}, "gated-dataset"),
    ):
        with pytest.raises(JobFailure) as failure:
            load(**options)
        assert failure.value.code == code
        assert failure.value.remedy


def test_a_hub_that_is_away_broken_or_switched_off(load, reviews, loopback, surroundings):
    hub = surroundings.hub
    loopback.down = 503
    for changed, code in (
        (hub, "hub-unreachable"),
        (dataclasses.replace(hub, endpoint="http://127.0.0.1:9"), "hub-unreachable"),
        (dataclasses.replace(hub, enabled=False), "hub-disabled"),
    ):
        with pytest.raises(JobFailure) as failure:
            load(dataset=reviews, config="english", hub=changed)
        assert failure.value.code == code
        assert "upload" in (failure.value.remedy or "").lower()


def test_a_hub_that_breaks_off_in_the_middle(load, reviews, loopback):
    del loopback.repos[reviews]["main"]["README.md"]
    answer = loopback.answer

    def break_off(request):
        if "/resolve/" in request.path:
            loopback.down = 400  # what the library does not try again, for minutes
        answer(request)

    loopback.answer = break_off
    with pytest.raises(JobFailure) as failure:
        load(dataset=reviews, config="english")
    assert failure.value.code == "hub-unreachable"


def test_limits_are_kept_before_and_after_the_download(load, reviews, loopback, surroundings):
    with pytest.raises(JobFailure) as failure:
        load(dataset=reviews, config="english", hub=dataclasses.replace(surroundings.hub, max_bytes=100))
    assert failure.value.code == "dataset-too-large"
    assert not [request for request in loopback.requests if ".parquet" in request]
    for change, word in (({"max_rows": 39}, "rows"), ({"max_labels": 1}, "labels")):
        with pytest.raises(JobFailure, match=word) as failure:
            load(dataset=reviews, config="english", limits=surroundings.limits.model_copy(update=change))
        assert failure.value.code == "dataset-too-large"


@pytest.mark.parametrize(
    ("rows", "code"),
    [([{"text": " ", "label": "a"}], "no-rows"), ([{"text": "x", "label": "a"}] * 3, "one-label")],
)
def test_a_table_that_no_classifier_can_learn_from(load, loopback, make, tmp_path, rows, code):
    loopback.repos["poor"] = {"main": {"train.jsonl": make.jsonl(rows)}}
    with pytest.raises(JobFailure) as failure:
        load(dataset="poor")
    assert failure.value.code == code
    assert not [path for path in Path(tmp_path).rglob("*rows.jsonl*") if path.is_file()]
