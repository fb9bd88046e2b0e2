"""How many samples of a dataset calibrate and how many are scored on. Pure functions of counts."""

_CALIBRATION_SHARE = 1 / 3
"""Most of a short dataset that calibration may take: the score needs samples more than the ranges do."""


def divided(samples: int, calibration: int, evaluation: int) -> tuple[int, int]:
    """How many samples calibrate and how many others evaluate, where so many of each are asked for.

    A short dataset gives fewer of each; one of a single sample uses it for both.
    """
    if samples == 1:
        return 1, 1
    calibrating = min(calibration, max(1, int(samples * _CALIBRATION_SHARE)))
    if calibration + evaluation <= samples:
        calibrating = calibration
    return calibrating, min(evaluation, samples - calibrating)


def samples_for(evaluating: int, calibration: int) -> int:
    """The shortest dataset of which so many samples evaluate, where no fewer are asked for."""
    samples = evaluating
    while divided(samples, calibration, evaluating)[1] < evaluating:
        samples += 1
    return samples
