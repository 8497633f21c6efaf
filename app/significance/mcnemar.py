"""McNemar's test: of the rows that only one of two models has right, does one have more than luck would give it?"""

import math


def mid_p(better: int, worse: int) -> float:
    """Give the two-sided mid-p value of ``better`` against ``worse`` discordant rows; 1 where there is none.

    The exact binomial test counts the outcome itself whole and so claims too little; mid-p counts it half
    (Fagerland, Lydersen, Laake 2013).
    """
    discordant = better + worse
    if discordant == 0 or better == worse:
        return 1.0
    fewer = min(better, worse)
    log_half = discordant * math.log(0.5)
    at = math.exp(_log_choose(discordant, fewer) + log_half)
    below = math.fsum(math.exp(_log_choose(discordant, count) + log_half) for count in _telling(discordant, fewer))
    return min(1.0, 2 * below + at)


def _telling(discordant: int, fewer: int) -> range:
    """Give the counts below ``fewer`` that add anything: 40 standard deviations down, nothing is left of it."""
    return range(max(0, fewer - int(20 * math.sqrt(discordant)) - 1), fewer)


def _log_choose(whole: int, part: int) -> float:
    return math.lgamma(whole + 1) - math.lgamma(part + 1) - math.lgamma(whole - part + 1)
