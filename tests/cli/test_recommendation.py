"""The rules by which a platform, a precision, QAT and a backbone are recommended."""

from typing import Any

import pytest

from cli.comparing import accuracy, deployment, gate, latency, target, tried
from dms_operator.cli.compare.advice import Advice
from dms_operator.cli.compare.recommendation import recommend
from dms_operator.cli.objects import Deployment

FAST = [latency(1, 2, "measured")]
SLOW = gate("latency", "Fail", "p99 at most 60 ms (measured), budget 50 ms")
LOST = gate("accuracy", "Fail", "lost 5.0 points of top1 on 1000 samples, 1.0 points allowed")


def lines(rule: str, *deployments: Deployment) -> list[Advice]:
    return [each for each in recommend(deployments) if each.rule == rule]


def texts(rule: str, *deployments: Deployment) -> list[str]:
    return [each.text for each in lines(rule, *deployments)]


def two_boards(entry: dict[str, Any], dear: dict[str, Any], **more: Any) -> Deployment:
    return deployment(target("qcs8255", "qnn", dear), target("tda4vm", "tidl", entry), **more)


def test_the_entry_board_is_enough_where_it_passes() -> None:
    (line,) = lines("entry-board", two_boards(tried("int8", [latency(15, 16, "measured")]), tried("int8", FAST)))
    assert line.text == "Use INT8 on tda4vm (entry board)"
    assert line.figures == (
        "INT8 on tda4vm: at most 16 ms measured, budget 50 ms",
        "INT8 on qcs8255: at most 2 ms measured, budget 50 ms",
    )


def test_the_dearer_board_is_for_what_the_entry_board_misses() -> None:
    slow = tried("int8", [latency(50, 60, "measured")], gates=[SLOW])
    one = two_boards(slow, tried("int8", FAST))
    assert texts("entry-board", one) == ["Use INT8 on qcs8255 (high-end board)"]
    assert texts("budget", one) == [f"tda4vm does not pass: INT8 on tda4vm {SLOW['message']}"]


def test_an_entry_board_without_figures_is_open_not_rejected() -> None:
    one = deployment(
        target("qcs8255", "qnn", tried("int8", FAST)), target("tda4vm", "tidl", message="TIDL tools are not installed")
    )
    (line,) = lines("budget", one)
    assert line.missing and line.text == "tda4vm cannot be judged: TIDL tools are not installed"


def test_operators_that_the_entry_board_does_not_take_are_a_no() -> None:
    one = deployment(
        target("qcs8255", "qnn", tried("int8", FAST)),
        target("tda4vm", "tidl", message="int8: 23 of 233 nodes will not run", reason="UnsupportedOperators"),
    )
    (line,) = lines("budget", one)
    assert not line.missing and line.figures == ("UnsupportedOperators: int8: 23 of 233 nodes will not run",)


def test_a_ratio_of_the_build_machine_is_no_argument_for_an_npu() -> None:
    both = [latency(1, 2, "simulated"), latency(3, 4, "host")]
    (line,) = lines("int8-first", deployment(target("qcs8255", "qnn", tried("int8", both))))
    assert line.figures[1] == "FP32 -> INT8: size 3.6x ONNX"


def test_lines_of_several_models_name_theirs() -> None:
    board = target("qcs8255", "qnn", tried("int8", FAST))
    both = deployment(board, name="one", model="a"), deployment(board, name="two", model="b")
    assert texts("int8-first", *both) == ["one: INT8 passes on qcs8255", "two: INT8 passes on qcs8255"]


def test_without_an_entry_board_it_is_said_that_one_might_do() -> None:
    (use, more) = lines("entry-board", deployment(target("qcs8255", "qnn", tried("int8", FAST))))
    assert use.text.startswith("Use INT8 on qcs8255") and more.missing and "tda4vm" in more.text


def test_int8_is_taken_although_fp16_is_as_accurate() -> None:
    one = deployment(target("qcs8255", "qnn", tried("fp16", FAST, method="cast"), tried("int8", FAST)))
    assert texts("int8-first", one) == ["INT8 passes on qcs8255"]


def test_fp16_stands_in_for_an_int8_that_loses_too_much() -> None:
    lost = tried("int8", [], drop=0.05, gates=[LOST])
    one = deployment(target("qcs8255", "qnn", lost, tried("fp16", FAST, method="cast")))
    (line,) = lines("int8-first", one)
    assert line.text.startswith("FP16 on qcs8255 in place of INT8") and "lost 5.0 points" in line.text


def test_int8_that_was_never_tried_is_missing() -> None:
    one = deployment(target("qcs8255", "qnn", tried("fp16", FAST, method="cast")))
    (line,) = lines("int8-first", one)
    assert line.missing and "add int8" in line.text


def test_qat_is_recommended_only_when_ptq_loses_too_much() -> None:
    lost = tried("int8", [], drop=0.05, gates=[LOST])
    trained = tried("int8", FAST, method="qat", drop=0.004)
    open_ = gate("accuracy", "Inconclusive", "lost 0.5 points of top1 on 200 samples: 2,000 would decide")
    unsure = tried("int8", [], drop=0.005, gates=[open_])
    assert texts("qat-when-needed", deployment(target("qcs8255", "qnn", tried("int8", FAST)))) == [
        "QAT is not needed for qcs8255"
    ]
    (line,) = lines("qat-when-needed", deployment(target("qcs8255", "qnn", lost, trained)))
    assert line.text.startswith("QAT for qcs8255") and "lost 5.0 points" in line.figures[0]
    (line,) = lines("qat-when-needed", deployment(target("qcs8255", "qnn", lost)))
    assert line.missing and "set quantization.method" in line.text
    (line,) = lines("qat-when-needed", deployment(target("qcs8255", "qnn", unsure)))
    assert line.missing and "is open" in line.text and "2,000 would decide" in line.figures[0]
    (line,) = lines("qat-when-needed", deployment(target("qcs8255", "qnn", lost), model_format="onnx"))
    assert line.missing and ".pt2" in line.text


def test_a_missed_latency_suggests_mobilenet_and_lost_accuracy_efficientnet_lite() -> None:
    slow = deployment(target("qcs8255", "qnn", tried("int8", [latency(50, 60, "measured")], gates=[SLOW])))
    lost = deployment(target("qcs8255", "qnn", tried("int8", [], drop=0.05, gates=[LOST])))
    assert [text.split()[0] for text in texts("backbone", slow)] == ["MobileNetV3"]
    assert [text.split()[0] for text in texts("backbone", lost)] == ["EfficientNet-Lite"]


def test_of_two_models_the_faster_one_is_taken_if_it_is_not_shown_to_be_worse() -> None:
    board = target("qcs8255", "qnn", tried("int8", [latency(3, 4, "measured")]))
    resnet = deployment(board, name="resnet", model="a")
    mobile = deployment(target("qcs8255", "qnn", tried("int8", FAST)), name="mobile", model="b")
    assert texts("backbone", resnet, mobile)[0] == "mobile is the model for qcs8255"
    worse = deployment(target("qcs8255", "qnn", tried("int8", FAST, drop=0.2)), name="mobile", model="b")
    worse.status.variants[1].accuracy.__dict__["high"] = 0.8
    assert texts("backbone", resnet, worse)[0] == "resnet is the model for qcs8255"


@pytest.mark.parametrize(
    ("metric", "slow", "fast", "told"),
    [
        ("mae", (0.10, 0.09, 0.11), (0.20, 0.19, 0.21), "slow is the model for qcs8255"),
        ("mae", (0.10, 0.09, 0.11), (0.11, 0.10, 0.12), "fast is the model for qcs8255"),
        ("mae", (0.20, 0.19, 0.21), (0.10, 0.09, 0.11), "fast is the model for qcs8255"),
        ("cosine", (0.99, 0.98, 1), (0.80, 0.79, 0.81), "Which model suits qcs8255 is open"),
    ],
)
def test_an_error_is_better_when_it_is_less_and_agreement_with_another_net_is_no_score(
    metric: str, slow: tuple[float, float, float], fast: tuple[float, float, float], told: str
) -> None:
    times = {"slow": [latency(3, 4, "measured")], "fast": FAST}
    models = [
        deployment(
            target("qcs8255", "qnn", tried("int8", times[name], score=accuracy(*score, metric=metric))),
            name=name,
            model=name[0].replace("s", "a").replace("f", "b"),
        )
        for name, score in (("slow", slow), ("fast", fast))
    ]
    assert texts("backbone", *models)[0].startswith(told)


def test_figures_that_no_board_gave_are_named() -> None:
    simulated = deployment(target("qcs8255", "qnn", tried("int8", [latency(1, 2, "simulated")])))
    shown = texts("evidence", simulated)
    assert "Nothing is measured on qcs8255" in shown[0] and "Power is unavailable" in shown[1]
    measured = deployment(target("qcs8255", "qnn", tried("int8", FAST, power="800mW")))
    assert not texts("evidence", measured)


def test_a_deployment_on_its_way_is_not_judged_as_if_it_were_at_its_end() -> None:
    one = deployment(target("qcs8255", "qnn", tried("int8", FAST, power="1mW")), phase="Benchmarking")
    assert texts("evidence", one) == ["driver-monitor is Benchmarking, not at its end: compare again later"]
