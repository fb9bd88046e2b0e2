"""CEL rules of `spec.targets[].options`, generated from what the toolchains' options take."""

from collections import defaultdict
from collections.abc import Iterator

from .capabilities import BOARDS, ToolchainName
from .cpu_fallback import ALLOW_CPU_FALLBACK, PATTERN, PROBLEM
from .rule import Rule, quoted
from .target_options.check import KNOWN

_SHARED = f"self.options['{ALLOW_CPU_FALLBACK}']"
_VALUE = "self.options[k]"


def option_rules() -> Iterator[Rule]:
    """Names first, then values as far as a few words or bounds tell them; the rest is the operator's."""
    yield Rule(f"!('{ALLOW_CPU_FALLBACK}' in self.options) || {_SHARED}.matches('^({PATTERN})$')", PROBLEM)
    for toolchain in KNOWN:
        yield _names_rule(toolchain)
    by_values = defaultdict[tuple[str, str], dict[str, list[ToolchainName]]](lambda: defaultdict(list))
    for toolchain, options in KNOWN.items():
        for key, values in options.items():
            if values is not None and (check := values.cel(_VALUE)):
                by_values[check, values.words][key].append(toolchain)
    for (check, words), keys in by_values.items():
        yield _value_rule(check, words, keys)


def _names_rule(toolchain: ToolchainName) -> Rule:
    known = KNOWN[toolchain]
    if not known:
        return Rule(f"!({_uses(toolchain)}) || self.options.size() == 0", f"toolchain {toolchain} takes no options")
    return Rule(
        f"!({_uses(toolchain)}) || self.options.all(k, k in {quoted(known)})",
        f"toolchain {toolchain} has no such option: it knows {', '.join(known)}",
    )


def _value_rule(check: str, words: str, keys: dict[str, list[ToolchainName]]) -> Rule:
    """Options of one name take the same in each toolchain that has them, so the rule need not ask which one it is."""
    return Rule(
        f"{quoted(keys)}.all(k, !(k in self.options) || ({check}))",
        f"{'option' if len(keys) == 1 else 'each of options'} {', '.join(keys)} needs {words}",
    )


def _uses(toolchain: ToolchainName) -> str:
    boards = [board.name for board in BOARDS.values() if board.toolchains[0] == toolchain]
    named = f"has(self.toolchain) && self.toolchain == '{toolchain}'"
    return f"{named} || !has(self.toolchain) && self.board in {quoted(boards)}" if boards else named
