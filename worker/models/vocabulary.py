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
INSIDE = "##"
"""Marks a piece that does not begin a word."""
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
    learn = _byte_pairs if options.tokenizer_algorithm == "bpe" else _word_pieces
    tokenizer = learn(lambda: _cleaned(texts, text, check), options)
    if tokenizer.get_vocab_size() <= len(SPECIAL) or not any(map(str.split, texts)):
        raise JobFailure(
            detail="The training texts hold no words that a tokenizer could learn.",
            code="no-vocabulary",
            remedy="Use tokenizer 'base_model', or check the text column of the dataset.",
        )
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}",
        special_tokens=[(token, SPECIAL.index(token)) for token in (START, END)],
    )
    tokenizer.save(str(file))
    return tokenizer


def _cleaned(texts: Sequence[str], text: TextOptions, check: Callable[[], None]) -> Iterator[list[str]]:
    for start in range(0, len(texts), CHUNK):
        check()
        yield [clean(one, text) for one in texts[start : start + CHUNK]]


def _word_pieces(texts: Callable[[], Iterator[list[str]]], options: TextCNNOptions) -> Tokenizer:
    """Learn word pieces, with numbers that do not depend on the order of a hash table.

    The trainer numbers the letters inside of words as it meets them, and breaks ties by these numbers; so it is given
    them beforehand, and the special treatment that they get for it is dropped with the first tokenizer.
    """
    first = _with_bert_rules(models.WordPiece(unk_token=UNKNOWN, max_input_chars_per_word=LONGEST_WORD), options)
    inner = [f"{INSIDE}{letter}" for letter in _letters(texts(), first)]
    trainer = trainers.WordPieceTrainer(
        vocab_size=options.vocab_size, special_tokens=[*SPECIAL, *inner], min_frequency=2, show_progress=False
    )
    first.train_from_iterator(texts(), trainer=trainer)
    learned = models.WordPiece(first.get_vocab(), unk_token=UNKNOWN, max_input_chars_per_word=LONGEST_WORD)
    tokenizer = _with_bert_rules(learned, options)
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _with_bert_rules(model: models.WordPiece, options: TextCNNOptions) -> Tokenizer:
    tokenizer = Tokenizer(model)
    # Accents and the joiners of Indic scripts are kept: there they tell words apart.
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=options.lowercase
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def _letters(texts: Iterator[list[str]], tokenizer: Tokenizer) -> list[str]:
    """Give the characters that can stand inside of a word, sorted."""
    normalizer, splitter = tokenizer.normalizer, tokenizer.pre_tokenizer
    seen = {letter for chunk in texts for text in chunk for letter in text}
    normal = {letter for one in seen for letter in normalizer.normalize_str(one)}
    return sorted(letter for letter in normal if len(splitter.pre_tokenize_str(f"a{letter}a")) == 1)


def _byte_pairs(texts: Callable[[], Iterator[list[str]]], options: TextCNNOptions) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    if options.lowercase:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=options.vocab_size,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(), trainer=trainer)
    return tokenizer
