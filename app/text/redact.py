"""Takes out of a text what most often tells who wrote it: addresses, links, names of accounts, numbers.

It works by patterns, so it finds neither names nor streets, and it takes out some harmless numbers.
"""

import re

# Each pattern walks over a text once: no part of it can match the same characters in two ways.
_URL = re.compile(r"(?:[a-z][a-z0-9+.-]{1,10}://|www\.)[^\s<>\"']+", re.IGNORECASE)
_EMAIL = re.compile(r"[^\s@<>()\[\],;:\"']{1,64}@[^\s@<>()\[\],;:\"']{1,255}\.[^\W\d_]{2,24}")
_MENTION = re.compile(r"(?<![\w@])@\w[\w.-]{0,63}")
_PHONE = re.compile(r"(?<!\w)\(?\+?\d(?:[ \t.()/-]{0,3}\d){6,29}(?!\w)")
_DIGITS = re.compile(r"\d{6,}")
_STEPS = ((_URL, "[URL]"), (_EMAIL, "[EMAIL]"), (_MENTION, "[MENTION]"), (_PHONE, "[NUMBER]"), (_DIGITS, "[NUMBER]"))


def redact(text: str) -> str:
    """Replace links, e-mail addresses, mentions, and what looks like a telephone or another long number."""
    for pattern, word in _STEPS:
        text = pattern.sub(word, text)
    return text
