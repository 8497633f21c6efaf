"""The report as a page and as Markdown: complete, alone in the world, and inert whatever the data says."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from markdown_it import MarkdownIt

from app.reports.assembly import build_report
from app.reports.html import as_html, charts
from app.reports.markdown import as_markdown, escaped
from app.schemas.issues import TaskIssues
from app.schemas.jobs import JobMetrics, JobWarning
from app.schemas.metrics import TaskEvaluation
from app.schemas.models import ExportVerdict
from app.schemas.reports import Report
from app.store.metrics import Point

Make = Callable[..., Any]
NASTY = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "</style></title></textarea><!-- ",
    "{{ 7 * 7 }}{% raw %}",
    "| a | b |\n|---|---|\n# heading",
    "![x](http://evil.example/x.png) [y](javascript:alert(1)) `code` **bold** _it_ ~~no~~",
    "\\| \\` &lt;b&gt; &amp;amp;",
    "1. one",
    "- item",
    "    indented",
    "---",
]


class Page(HTMLParser):
    """Collects the tags, the attributes and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture
def nasty(make_job: Make, make_profile: Make, make_issues: Make, points: list[Point]) -> Callable[[str], Report]:
    """Make a report in which ``text`` stands wherever a client, a dataset or a worker can put words."""

    def made(text: str) -> Report:
        names = [text, "teen", "mature"]
        job = make_job(
            names=names,
            status="failed",
            status_reason=text,
            error={"code": text, "detail": text, "remedy": text},
            warnings=[JobWarning(code="x", detail=text, remedy=text)],
            metadata={text[:64]: text},
            stop_reason=text,
            hyperparameters={text: text, "class_weights": {text: 1.0}},
        )
        curve = [Point(f"eval/f1:{text}", step, step / 100, 0.5) for step in (100, 200)]
        assert job.metrics.test is not None
        task = TaskEvaluation.model_validate(job.metrics.test.model_dump(exclude={"tasks"}))
        job.metrics.test = job.metrics.test.model_copy(update={"tasks": {text: task}})
        issues = make_issues(text, text)
        issues.tasks = {text: TaskIssues.model_validate(issues.model_dump(exclude={"tasks"}))}
        return build_report(job, [*points, *curve], profile=make_profile(names=names, warning=text), issues=issues)

    return made


def test_the_page_shows_every_section(report: Report) -> None:
    html = as_html(report)
    for heading in (
        "Diagnosis",
        "Curves",
        "Scores on the test split",
        "Scores on the validation split",
        "Data",
        "What the model shows about the data",
        "For publication",
        "Hyperparameters",
        "Network",
        "Environment",
        "Warnings",
    ):
        assert f"<h2>{heading}</h2>" in html
    assert "A hard text" in html
    assert html.count("<svg viewBox") - html.count('class="key"') == 6  # four charts, two heat maps


def test_the_page_needs_nothing_from_anywhere_and_runs_nothing(report: Report) -> None:
    html = as_html(report)
    page = Page(html)

    assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    assert not {name for name, _ in page.attributes if name in {"src", "href", "srcset", "action"} or name[:2] == "on"}
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_label_sets_have_no_confusion_but_thresholds_and_scores_of_their_own(
    make_job: Make, make_profile: Make, make_sets: Make, points: list[Point]
) -> None:
    job = make_job(metrics=JobMetrics(validation=make_sets("validation"), test=make_sets("test")))
    report = build_report(job, points, profile=make_profile())
    report.thresholds = {"general": 0.31, "teen": 0.5, "mature": 0.7}
    html, markdown = as_html(report), as_markdown(report)
    assert report.problem_type == "multi_label"
    assert report.data.random_baseline is None
    assert report.data.labels[0].share == pytest.approx(2352 / 3920)  # of the rows, not of the labels
    for text in (html, markdown):
        assert "onfusion" not in text
        assert "0.310" in text
        assert "all labels right" in text
        assert "Guessing evenly" not in text
        assert "None were recorded" not in text
    assert "micro F1 0.750, and all labels are right for 40.0 % of the rows" in report.summary


@pytest.fixture
def two_tasks(
    make_job: Make, make_profile: Make, make_issues: Make, make_evaluation: Make, points: list[Point]
) -> Make:
    """Make the report of a job with a further task, whose labels, name and rows are given."""

    def made(name: str, labels: list[str], text: str) -> Report:
        job = make_job()
        further = make_evaluation("test", [[30, 5, 1], [2, 20, 4], [0, 3, 8]], labels)
        task = TaskEvaluation.model_validate(further.model_dump(exclude={"tasks"}))
        test = job.metrics.test.model_copy(update={"tasks": {name: task}})
        metrics = job.metrics.model_copy(update={"test": test})
        issues = make_issues("A hard text", "general")
        issues.tasks = {name: TaskIssues.model_validate(make_issues(text, labels[0]).model_dump(exclude={"tasks"}))}
        return build_report(make_job(metrics=metrics), points, profile=make_profile(), issues=issues)

    return made


def test_a_further_task_has_its_labels_its_confusions_and_its_hard_rows(two_tasks: Make) -> None:
    report = two_tasks("mood", ["calm", "glad", "sad"], "A moody text")
    html, markdown = as_html(report), as_markdown(report)
    assert [(each.label, each.predicted, each.count) for each in report.scores[1].task_confusions["mood"]][:2] == [
        ("calm", "glad", 5),
        ("glad", "sad", 4),
    ]
    for words in (
        "### Task mood, on its test split",
        "| glad | 0.",
        "| calm | 30 | 5 | 1 |",
        "## Task mood: Hardest rows of the validation split",
        "## Task mood: Labels that may be wrong",
        "| 17 | A moody text | calm | teen | 97.0 % | 4.600 |",
    ):
        assert words in markdown
    assert "\n\n\n" not in markdown
    for words in (
        "<h3>Task mood, test</h3>",
        "<h3>Task mood: Hardest rows of the validation split</h3>",
        "A moody text",
    ):
        assert words in html
    assert html.count("<svg viewBox") - html.count('class="key"') == 7  # four charts, three heat maps


def test_options_inside_of_options_are_shown_in_words(make_job: Make, hyperparameters: dict[str, Any]) -> None:
    nested = {"difficulty": "length", "by_label": True, "of": {"x": None}, "techniques": ["a", "b"]}
    wishes = hyperparameters | {"nested": nested, "lr_scheduler_kwargs": {"T_0": None, "power": None}}
    shown = {each.name: each.value for each in build_report(make_job(hyperparameters=wishes), []).hyperparameters}
    assert shown["nested"] == "difficulty: length, by_label: yes, of: [none], techniques: [a, b]"
    assert shown["lr_scheduler_kwargs"] == "none"


@pytest.mark.parametrize("text", NASTY)
def test_no_text_can_act_in_the_page(nasty: Callable[[str], Report], report: Report, text: str) -> None:
    page = Page(as_html(nasty(text)))

    assert page.tags <= Page(as_html(report)).tags | {"b"}
    assert "onerror" not in {name for name, _ in page.attributes}
    shown = "".join(page.text)
    assert shown.count(text) >= 10


@pytest.mark.parametrize("text", NASTY)
def test_no_text_can_act_in_markdown(nasty: Callable[[str], Report], report: Report, text: str) -> None:
    """A CommonMark parser finds the same structure whatever the words are, and gives them back."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = parser.parse(as_markdown(nasty(text)))
    kinds = {child.type for token in tokens for child in token.children or []}

    assert kinds <= {"text", "text_special", "strong_open", "strong_close", "softbreak"}
    assert not {token.type for token in tokens} & {"html_block", "code_block", "fence", "hr", "ordered_list_open"}
    plain = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(as_markdown(nasty("plain words")))
    assert [token.type for token in tokens] == [token.type for token in plain]
    said = [child.content for token in tokens for child in token.children or []]
    assert " ".join(text.split()) in " ".join("".join(said).split())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.705, "0.705"),
        (-3, "-3"),
        ("a_b", "a\\_b"),
        ("1. one", "1\\. one"),
        ("- one", "\\- one"),
        ("===", "\\==="),
        ("two\nlines", "two lines"),
    ],
)
def test_escaping_touches_only_what_would_act(value: object, text: str) -> None:
    assert escaped(value) == text


def test_markdown_says_what_the_page_says(report: Report) -> None:
    markdown = as_markdown(report)
    for words in (
        report.title,
        "## For publication",
        "- **Batch size**: 4 physical, 16 effective (gradient accumulation over 4)",
        "| general | 251 | 36 | 8 |",
        "RobertaForSequenceClassification with 124,647,939 parameters, 592,131 of them trainable in the first step",
        "| roberta.embeddings | RobertaEmbeddings | 39,000,576 |",
        "| max\\_length | 256 | 99 % of the texts keep within 243. |",
    ):
        assert words in markdown
    assert "\n\n\n" not in markdown


def test_a_refused_format_is_named_with_its_reason(report: Report) -> None:
    refused = ExportVerdict(
        format="onnx-int8",
        file="model.int8.onnx",
        bytes=1,
        rows=0,
        max_abs_difference=None,
        label_agreement=None,
        passed=False,
        reason="it loses too much",
    )
    changed = report.model_copy(update={"exports": [refused]})
    assert "refused: it loses too much" in as_html(changed)
    assert "| export onnx-int8 | refused: it loses too much |" in as_markdown(changed)


def test_many_labels_are_listed_instead_of_drawn(make_job: Make, make_evaluation: Make) -> None:
    names = [f"label {number}" for number in range(77)]
    matrix = [[9 if row == column else int(column == row + 1) for column in range(77)] for row in range(77)]
    job = make_job()
    metrics = job.metrics.model_copy(update={"validation": None, "test": make_evaluation("test", matrix, names)})
    report = build_report(make_job(metrics=metrics), [])

    assert "<h3>The commonest mistakes</h3>" in as_html(report)
    assert "Confusion matrix" not in as_html(report)
    assert "| label 0 | label 1 | 1 | 10.0 % |" in as_markdown(report)


def test_the_baseline_is_drawn_beside_the_accuracy(report: Report) -> None:
    drawn = {chart.title: chart for chart in charts(report)}

    assert list(drawn) == [
        "Loss",
        "Validation scores",
        "Accuracy in training and validation",
        "Learning rate",
    ]
    assert [curve.name for curve in drawn["Accuracy in training and validation"].curves] == [
        "train/accuracy",
        "eval/accuracy",
    ]
    assert [curve.name for curve in drawn["Validation scores"].curves] == ["eval/f1_macro", "eval/accuracy"]
    level = drawn["Validation scores"].level
    assert level is not None
    assert level.value == 0.602


def test_both_schemes_of_colour_are_in_the_page(report: Report) -> None:
    html = as_html(report)
    light, dark = re.findall(r"--page: (#[0-9a-f]{6})", html)[:2]
    assert light != dark
    assert "prefers-color-scheme: dark" in html
