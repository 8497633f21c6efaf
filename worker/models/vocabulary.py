"""A tokenizer of one's own: word pieces learned from the training texts, for models that are trained from scratch."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from app.errors import JobFailure
from app.schemas.families import TextCNNOptions
from app.schemas.text import TextOptions
from app.text.clean import clean

PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
SPECIAL = [PAD, UNKNOWN, START, END]
PAD_TOKEN_ID = 0
CHUNK = 1000
"""Texts that are learned from between two looks at whether to stop."""
LONGEST_WORD = 400
"""Characters; a longer word is unknown to word pieces. Scripts without spaces write long ones."""


def train_tokenizer(
    texts: Sequence[str], options: TextCNNOptions, text: TextOptions, file: Path, *, check: Callable[[], None]
) -> Tokenizer:
    """Learn pieces from ``texts``, cleaned as the model will see them, and write ``file``, a ``tokenizer.json``.

    ``check`` is called now and then and may raise to stop. The same texts give the same file. Raises JobFailure
    ``no-vocabulary`` when the texts hold nothing to learn from.
    """
    tokenizer, trainer = _byte_pairs(options) if options.tokenizer_algorithm == "bpe" else _word_pieces(options)
    tokenizer.train_from_iterator(_cleaned(texts, text, check), trainer=trainer, length=len(texts))
    if tokenizer.get_vocab_size() <= len(SPECIAL):
        raise JobFailure(
            detail="The training texts hold no words that a tokenizer could learn.",
            code="no-vocabulary",
            remedy="Use tokenizer 'base_model', or check the text column of the dataset.",
        )
    tokenizer.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
        single=f"{START} $A {END}",
        special_tokens=[(token, SPECIAL.index(token)) for token in (START, END)],
    )
    tokenizer.save(str(file))
    return tokenizer


def _cleaned(texts: Sequence[str], text: TextOptions, check: Callable[[], None]) -> Iterator[list[str]]:
    for start in range(0, len(texts), CHUNK):
        check()
        yield [clean(one, text) for one in texts[start : start + CHUNK]]


def _word_pieces(options: TextCNNOptions) -> tuple[Tokenizer, trainers.Trainer]:
    model = models.WordPiece(unk_token=UNKNOWN, max_input_chars_per_word=LONGEST_WORD)
    tokenizer = Tokenizer(model)  # type: ignore[arg-type]
    # Accents and the joiners of Indic scripts are kept: there they tell words apart.
    tokenizer.normalizer = normalizers.BertNormalizer(  # type: ignore[assignment]
        clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=options.lowercase
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()  # type: ignore[assignment]
    tokenizer.decoder = decoders.WordPiece()  # type: ignore[assignment]
    trainer = trainers.WordPieceTrainer(
        vocab_size=options.vocab_size, special_tokens=SPECIAL, min_frequency=2, show_progress=False
    )
    return tokenizer, trainer


def _byte_pairs(options: TextCNNOptions) -> tuple[Tokenizer, trainers.Trainer]:
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))  # type: ignore[arg-type]
    if options.lowercase:
        tokenizer.normalizer = normalizers.Lowercase()  # type: ignore[assignment]
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=options.vocab_size,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
        show_progress=False,
    )
    return tokenizer, trainer
