"""CEL rules of the CRD: what must hold between fields, each with a message that says what to change.

They are generated from the capability table where they speak of boards, so that admission and planner cannot
disagree. Only the CEL core that every Kubernetes since 1.25 has is used; every list they walk is bounded.
"""

from .capabilities import BOARDS, PRECISIONS, Board, is_baseline, refusal
from .contradictions import contradiction_rules
from .option_rules import option_rules
from .patterns import WORDS
from .quantities import Duration, Energy, Memory, Power, Quantity, Share
from .rollout import MAX_WAVES, METRIC_BOUNDS
from .rule import Rule, quoted


def target_rules() -> list[Rule]:
    """Rules of one target: the toolchain must be one that builds for the board, and know the options."""
    return [*_builders(), *option_rules()]


def _builders() -> list[Rule]:
    return [
        Rule(
            f"self.board != '{board.name}' || !has(self.toolchain) || self.toolchain in {quoted(board.toolchains)}",
            f"this toolchain does not build for {board.name}: use one of {', '.join(board.toolchains)}",
        )
        for board in BOARDS.values()
    ]


def _uses(board: Board, toolchain: str) -> str:
    chosen = f"(has(t.toolchain) && t.toolchain == '{toolchain}')"
    if board.toolchains[0] == toolchain:
        chosen = f"(!has(t.toolchain) || t.toolchain == '{toolchain}')"
    return f"t.board == '{board.name}' && {chosen}"


def precision_rules() -> list[Rule]:
    """Rules of spec: no precision that a target's board and toolchain cannot run."""
    rules = []
    for board in BOARDS.values():
        for toolchain in board.toolchains:
            for precision in PRECISIONS:
                why = refusal(toolchain, precision, board.name)
                if why and not is_baseline(toolchain, precision):
                    rules.append(_precision_rule(board, toolchain, precision, why))
    return rules


def _precision_rule(board: Board, toolchain: str, precision: str, why: str) -> Rule:
    asked = f"(has(t.precisions) ? '{precision}' in t.precisions : '{precision}' in self.quantization.precisions)"
    return Rule(
        f"!self.targets.exists(t, {_uses(board, toolchain)} && {asked})",
        f"{precision} is not possible for {board.name} with {toolchain}: {why} (in targets[].precisions, where other "
        f"targets keep {precision})",
    )


def dynamic_rule() -> Rule:
    """Dynamic quantization is a host baseline: no NPU takes it."""
    npu_boards = [board.name for board in BOARDS.values() if board.toolchains[0] != "onnxruntime"]
    return Rule(
        "self.quantization.method != 'dynamic' || self.targets.all(t, "
        f"(has(t.toolchain) && t.toolchain == 'onnxruntime') || !(t.board in {quoted(npu_boards)}))",
        "dynamic quantization does not run on an NPU: use method auto, static or qat, or toolchain onnxruntime",
    )


STATIC_FORM = "quantization.static is one form of static quantization: set quantization.method to static, or remove it"


def static_rule() -> Rule:
    """A form is no limit for the ladder: who names one gets that one."""
    return Rule("!has(self.quantization.static) || self.quantization.method == 'static'", STATIC_FORM)


PROVABLE_DROP = "a drop of 0 cannot be proven by any number of samples: allow at least 0.001 (a tenth of a point)"


def drop_rule() -> Rule:
    """The accuracy gate asks for a proof, and there is none that nothing at all was lost."""
    return Rule("self.quantization.maxAccuracyDrop > 0.0", PROVABLE_DROP)


WHOLE_DROP = "a drop of 1 is all that there is of top1, macroF1 and cosine: give a share such as 0.01 (one point)"


def whole_rule() -> Rule:
    """Only mae has the unit of its labels, which may be pixels or millimetres."""
    return Rule("self.quantization.maxAccuracyDrop <= 1.0 || self.dataset.metric == 'mae'", WHOLE_DROP)


def wave_rule() -> Rule:
    """Of two waves of one unit the later one is not smaller; the lists of places stand for a loop with an index."""
    places = list(range(MAX_WAVES))
    unit, number = "self[{}].size.endsWith('%')", "int(self[{}].size.replace('%', ''))"
    return Rule(
        f"{places[:-1]}.all(i, {places[1:]}.all(j, i >= j || j >= self.size() || "
        f"{unit.format('i')} != {unit.format('j')} || {number.format('i')} <= {number.format('j')}))",
        "a wave is smaller than one before it: sizes are cumulative, so make it larger or move it to the front",
    )


def gate_rules() -> list[Rule]:
    """No live metric is held against a bound that no reading, or every one, meets."""
    return [
        Rule(f"self.metric != '{metric}' || {bounds.rule}", bounds.words) for metric, bounds in METRIC_BOUNDS.items()
    ]


def store_rule() -> Rule:
    """The artifact store belongs to the results: moving it would orphan them."""
    return Rule(
        "self.artifacts.uri == oldSelf.artifacts.uri",
        "artifacts.uri cannot be changed: create a new deployment for another store",
    )


def spec_rules() -> list[Rule]:
    """All rules on `spec`."""
    return [
        *precision_rules(),
        dynamic_rule(),
        static_rule(),
        drop_rule(),
        whole_rule(),
        *contradiction_rules(),
        store_rule(),
    ]


def pattern_rule(pattern: str) -> Rule:
    """A rule instead of a pattern, because its message can say what to write."""
    return Rule(_matches(pattern), WORDS[pattern])


def quantity_rule(kind: type[Quantity], *, may_be_number: bool) -> Rule:
    """A number with a unit; the message shows one. `may_be_number`: the schema lets a bare number through to here."""
    matches = _matches(kind.pattern())
    return Rule(
        f"type(self) == string && {matches}" if may_be_number else matches,
        f"needs a number with a unit ({', '.join(kind.UNITS)}), such as {kind.EXAMPLE}",
    )


def above_zero_rule(problem: str) -> Rule:
    """A quantity with a digit that is not 0; what is no quantity at all is told by the rule of its unit."""
    return Rule("type(self) != string || !self.matches('^[0.]+[a-zA-Z%]+$')", problem)


def _matches(pattern: str) -> str:
    return "self.matches('{}')".format(pattern.replace("\\", "\\\\"))


QUANTITIES: dict[str, type[Quantity]] = {kind.pattern(): kind for kind in (Duration, Power, Energy, Memory, Share)}
"""By pattern, to recognise a quantity in a generated schema."""
