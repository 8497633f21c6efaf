"""The model card: what a version is, how good it is, what it was made of, and how to run it without this service."""

from markupsafe import Markup

from app.artifacts.bundle import TOKENIZER, Manifest
from app.reports.certainty import certainty, versus
from app.reports.markdown import environment
from app.schemas.metrics import Evaluation
from app.schemas.text import TextOptions, TokenizerSettings
from app.text.tokenizer import head_of

_TOO_LONG = '"a text is too long for this model"'
_PAD = "pad = lambda rows, gap: numpy.array([[*row] + [gap] * (max(map(len, rows)) - len(row)) for row in rows])"


def model_card(name: str, number: int, manifest: Manifest) -> str:
    """Write the card of a version as Markdown; the same version always has the same card."""
    judged = manifest.test or manifest.validation
    return (
        environment()
        .get_template("model_card.md.j2")
        .render(
            name=name,
            number=number,
            manifest=manifest,
            judged=judged,
            baseline=None if judged is None or judged.hamming_loss is not None else _commonest(judged),
            thresholds=thresholds(manifest),
            certainty=certainty(manifest.intervals),
            versus=[versus(baseline) for baseline in manifest.baselines],
            program=Markup(program(manifest)),  # noqa: S704 - made of numbers and fixed words alone
        )
    )


_ONE = """\
scores = numpy.exp(logits - logits.max(axis=1, keepdims=True))
for text, score in zip(texts, scores / scores.sum(axis=1, keepdims=True)):
    print(labels[score.argmax()], round(float(score.max()), 4), text)"""
_TASKS = """\
for task, temperature in zip(tasks, {temperatures}):
    own = logits[:, task["offset"] : task["offset"] + len(task["labels"])] / temperature
    scores = numpy.exp(own - own.max(axis=1, keepdims=True))
    for text, score in zip(texts, scores / scores.sum(axis=1, keepdims=True)):
        print(task["name"], task["labels"][score.argmax()], round(float(score.max()), 4), text)"""
_SETS = """\
thresholds = manifest["thresholds"] or [0.5] * len(labels)
scores = 1 / (1 + numpy.exp(-logits))
for text, score in zip(texts, scores):
    given = [label for label, p, least in zip(labels, score, thresholds) if p >= least]
    print(given, dict(zip(labels, score.round(4).tolist())), text)"""


def program(manifest: Manifest) -> str:
    """Write some lines of Python that classify texts with nothing but onnxruntime, tokenizers and numpy."""
    inputs = '"input_ids": ids, "attention_mask": mask'
    if manifest.tokenizer.max_chunks is not None:
        inputs += ', "chunk_index": index'
    return f'''\
import html, json, re, unicodedata
import numpy, onnxruntime, tokenizers

{_known(manifest)}
tokenizer = tokenizers.Tokenizer.from_file("{TOKENIZER}")
model = onnxruntime.InferenceSession("{manifest.served_file}")

texts = ["Write your own texts here."]
{_reading(manifest.tokenizer, _cleaned(manifest.text))}
logits = model.run(["logits"], {{{inputs}}})[0].astype(numpy.float64){_cooled(manifest)}
{_answers(manifest)}'''


def thresholds(manifest: Manifest) -> list[float]:
    """Give the probability from which each label is given."""
    return manifest.thresholds or [0.5] * len(manifest.labels)


def _known(manifest: Manifest) -> str:
    """Write the lines that read what the logits stand for."""
    read = 'json.load(open("manifest.json", encoding="utf-8"))'
    if manifest.tasks:
        return f'tasks = {read}["tasks"]'
    if manifest.problem_type == "multi_label":
        return f'manifest = {read}\nlabels = manifest["labels"]'
    return f'labels = {read}["labels"]'


def _cooled(manifest: Manifest) -> str:
    """Write the division by the temperature, where there is one for all logits."""
    temperature = manifest.decision.temperature
    return "" if manifest.tasks or temperature == 1.0 else f" / {temperature!r}"


def _answers(manifest: Manifest) -> str:
    """Write the lines that turn logits into answers."""
    if manifest.tasks:
        rule = manifest.decision
        others = [rule.task_temperatures.get(task.name, 1.0) for task in manifest.tasks[1:]]
        return _TASKS.replace("{temperatures}", repr([rule.temperature, *others]))
    return _SETS if manifest.problem_type == "multi_label" else _ONE


def _reading(settings: TokenizerSettings, text: str) -> str:
    """Write the lines that make inputs of ``texts``; ``text`` is the expression that cleans one."""
    if settings.max_chunks is not None:
        return _reading_chunks(settings, text)
    if settings.long_text == "head_tail":
        head = head_of(settings.max_length)
        tail = settings.max_length - head
        cut = f"row if len(row) <= {settings.max_length} else row[:{head}] + row[-{tail}:]"
        return f"""\
tokenizer.no_truncation(), tokenizer.no_padding()
rows = [row.ids for row in tokenizer.encode_batch([{text} for text in texts])]
rows = [{cut} for row in rows]
{_PAD}
ids, mask = pad(rows, {settings.pad_token_id}), pad([[1] * len(row) for row in rows], 0)"""
    refusal = f"assert not any(row.overflowing for row in rows), {_TOO_LONG}\n" if _refuses(settings) else ""
    return f"""\
tokenizer.enable_truncation({settings.max_length}), tokenizer.enable_padding(pad_id={settings.pad_token_id})
rows = tokenizer.encode_batch([{text} for text in texts])
{refusal}ids, mask = (numpy.array([getattr(row, part) for row in rows]) for part in ("ids", "attention_mask"))"""


def _refuses(settings: TokenizerSettings) -> bool:
    return settings.long_text == "error"


def _reading_chunks(settings: TokenizerSettings, text: str) -> str:
    refusal = f"    assert len(row.overflowing) < {settings.max_chunks}, {_TOO_LONG}\n" if _refuses(settings) else ""
    return f"""\
tokenizer.enable_truncation({settings.max_length}, stride={settings.overlap}), tokenizer.no_padding()
chunks, index = [], []  # all chunks of all texts, and for each text which of them are its own
for row in tokenizer.encode_batch([{text} for text in texts]):
{refusal}    own = [row, *row.overflowing][:{settings.max_chunks}]
    index.append(range(len(chunks), len(chunks) + len(own)))
    chunks += [chunk.ids for chunk in own]
{_PAD}
ids, mask, index = pad(chunks, {settings.pad_token_id}), pad([[1] * len(row) for row in chunks], 0), pad(index, -1)"""


def _cleaned(options: TextOptions) -> str:
    """Write the expression that cleans ``text`` as the service does."""
    text, form = "text", options.unicode_normalization
    if options.html == "remove":
        text = r're.sub(r"(?is)<!--.*?-->|</?[a-z][^<>]*>|<![a-z][^<>]*>", " ", html.unescape(text))'
    normalize = form != "none"
    if normalize:
        text = f'unicodedata.normalize("{form}", {text})'
    if options.lowercase:
        text = f"{text}.lower()"
        text = f'unicodedata.normalize("{form}", {text})' if normalize else text
    if options.urls != "keep":
        instead = "http" if options.urls == "replace" else ""
        text = rf're.sub(r"(?i)(?:https?://|www\.)\S+", "{instead}", {text})'
    if options.strip_mentions:
        text = rf're.sub(r"(?<![\w@])@\w+", "@user", {text})'
    if options.collapse_whitespace:
        text = f'" ".join({text}.split())'
    return text


def _commonest(evaluation: Evaluation) -> float:
    """Give the accuracy of always answering the commonest label."""
    return max(scores.support for scores in evaluation.per_class) / max(1, evaluation.examples)
