"""Numbers of vehicles, given as a count or as a share of the fleet."""


def at_least(text: str, total: int) -> int:
    """`5%` of the fleet rounded up, or a count as it stands."""
    return -(-total * int(text[:-1]) // 100) if text.endswith("%") else int(text)


def at_most(text: str, total: int) -> int:
    """`5%` of the fleet rounded down, or a count as it stands."""
    return total * int(text[:-1]) // 100 if text.endswith("%") else int(text)
