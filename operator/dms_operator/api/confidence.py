"""How sure a figure is: formulas that stages and gates share. Pure functions of counts, standard library only.

Two questions are answered: how large may a loss of top1 be, of which some samples show something, and how many queries
bound a percentile.
"""

import math
from functools import lru_cache
from statistics import NormalDist

ACCURACY = 0.95
"""Confidence of each one-sided bound of an accuracy drop: a loss beyond the limit passes at most one time in twenty.

The level of a two one-sided test, as in bioequivalence. 299 samples without a single loss prove one point (the rule of
three: 3 / n); at 0.99 they would have to be 459, and labelled clips are dear.
"""

LATENCY = 0.99
"""Confidence of a percentile's upper bound: that of LoadGen's early stopping (loadgen/early_stopping.cc)."""

MOST_SAMPLES = 1_000_000
"""Beyond so many samples nobody is asked for more (the bound of spec.dataset.evaluationSamples)."""

FEWEST_RESAMPLED = 20
"""Samples below which a bootstrap says nothing about others."""

_Z = NormalDist().inv_cdf(ACCURACY)
_FEW = 30
"""Net losses up to which the exact bound is looked at; above, the score bound is wider or the same within 1 %."""
_HALVINGS = 50


@lru_cache(maxsize=4096)
def drop_high(lost: int, gained: int, samples: int) -> float:
    """The true drop of top1 is at most this (one-sided, ACCURACY).

    `lost` samples are right in the reference alone, `gained` ones in the variant alone; both of the same `samples`.
    The score bound of Tango (1998) for paired proportions, and never less than the exact bound (Clopper and Pearson
    1934) of as many net losses: where there are few, the score bound alone promises too much.
    """
    score, net = _tango_high(lost, gained, samples), max(0, lost - gained)
    return max(score, _exact_high(net, samples)) if net <= _FEW else score


@lru_cache(maxsize=4096)
def drop_low(lost: int, gained: int, samples: int) -> float:
    """The true drop of top1 is at least this (one-sided, ACCURACY); as `drop_high`, from below."""
    score, net = -_tango_high(gained, lost, samples), max(0, lost - gained)
    return min(score, _exact_low(net, samples)) if net <= _FEW else score


def fewest_samples(limit: float) -> int:
    """Samples below which even a variant without any loss proves no drop below `limit` (0 < limit < 1)."""
    return math.ceil(math.log(1 - ACCURACY) / math.log1p(-limit) - 1e-9)


def provable_drop(samples: int) -> float:
    """The smallest limit that so many samples without any loss prove; the other way round of `fewest_samples`."""
    return -math.expm1(math.log(1 - ACCURACY) / samples)


@lru_cache(maxsize=4096)
def deciding_samples(lost: int, gained: int, samples: int, limit: float) -> int | None:
    """How many samples would decide, were shares of lost and gained samples to stay as they are.

    None: more than MOST_SAMPLES, because the drop is about as large as the limit.
    """

    def decides(count: int) -> bool:
        scaled = (round(lost * count / samples), round(gained * count / samples), count)
        return drop_high(*scaled) <= limit or drop_low(*scaled) > limit

    low, high = samples, samples
    while not decides(high):
        if high >= MOST_SAMPLES:
            return None
        low, high = high, min(high * 2, MOST_SAMPLES)
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high


def discardable(queries: int, percent: float, confidence: float = LATENCY) -> int | None:
    """How many of the highest latencies a percentile's bound may leave out; None: too few queries for any bound.

    LoadGen: t - 1 for the largest t with P[Bin(n, 1 - p) <= t] <= 1 - confidence, if t >= 1.
    """
    over, total = 0, _exactly(queries, 0, percent)
    # rounding in the logarithms: 1e-9 is far below the steps of the tail probability near 0.01
    while total <= 1 - confidence + 1e-9 and over < queries:
        over += 1
        total += _exactly(queries, over, percent)
    allowed = over - 1
    return allowed - 1 if allowed >= 1 else None


@lru_cache(maxsize=64)
def queries_needed(percent: float, confidence: float = LATENCY) -> int:
    """The smallest number of queries that bounds this percentile: 64 for p90, 662 for p99, 6636 for p99.9."""
    low, high = 1, 2
    while discardable(high, percent, confidence) is None:
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if discardable(middle, percent, confidence) is None else (low, middle)
    return low


def _tango_high(lost: int, gained: int, samples: int) -> float:
    """The larger drop at which the score statistic is as far out as the confidence allows."""
    found = (lost - gained) / samples
    low, high = found, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _score(lost, gained, samples, middle) < _Z else (low, middle)
    return high


def _score(lost: int, gained: int, samples: int, drop: float) -> float:
    """Standard errors by which the drop found lies below `drop`; the variance is that of the most likely shares there.

    Tango (1998), equations 8 and 9: `share` is the most likely share of gained samples, given the drop.
    """
    b = (2 * samples - lost + gained) * drop - lost - gained
    c = -gained * drop * (1 - drop)
    share = (math.sqrt(max(0.0, b * b - 8 * samples * c)) - b) / (4 * samples)
    variance = samples * (2 * share + drop * (1 - drop))
    return (samples * drop - lost + gained) / math.sqrt(variance) if variance > 0 else 0.0


def _exact_high(events: int, samples: int) -> float:
    """Clopper and Pearson: the share at which so few events are just as likely as the confidence allows."""
    low, high = events / samples, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        likely = sum(_exactly(samples, count, 100 * (1 - middle)) for count in range(events + 1))
        low, high = (middle, high) if likely > 1 - ACCURACY else (low, middle)
    return high


def _exact_low(events: int, samples: int) -> float:
    """The share at which so many events or more are just as likely as the confidence allows."""
    low, high = 0.0, events / samples
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        likely = 1 - sum(_exactly(samples, count, 100 * (1 - middle)) for count in range(events))
        low, high = (low, middle) if likely > 1 - ACCURACY else (middle, high)
    return low


def _exactly(trials: int, over: int, percent: float) -> float:
    """Probability that exactly `over` of the trials exceed the true percentile."""
    below = percent / 100
    if below <= 0 or below >= 1:
        return float(over == (trials if below <= 0 else 0))
    ways = math.lgamma(trials + 1) - math.lgamma(over + 1) - math.lgamma(trials - over + 1)
    return math.exp(ways + over * math.log1p(-below) + (trials - over) * math.log(below))
