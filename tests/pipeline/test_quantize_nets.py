"""Every trained net of the example at every width: the compiler takes it whole, and its simulator agrees with the host.

Logits of these nets reach 5. The tolerance is of some steps of the output's own grid: an 8-bit output of that range has
steps of 0.04, and a sum that ends near a tie rounds to the next one. 48 clips keep it (docs/qualcomm.md); here are 3.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dms_operator.controller.rungs import NARROW
from driver_monitor.nets import NETS
from pipeline.stages import Stages
from pipeline.whole_nets import SAMPLES, WholeNet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WIDTHS: dict[str, tuple[dict[str, Any], dict[str, Any], float]] = {
    "w8a8": ({"precision": "int8", "calibration": "minmax"}, {}, 0.5),
    "w8a16": ({"precision": "int8"}, {"activation_bits": 16}, 0.05),
    "w4a16": ({"precision": "int4"}, {}, 0.3),
    "w4a8": ({"precision": "int4"}, NARROW.model_dump(), 0.5),
}
"""Precision, recipe and the largest accepted difference of a logit between the functional simulator and the host."""


@pytest.fixture(scope="module", params=sorted(NETS))
def net(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeNet]:
    root = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMS_FILE_ROOTS", str(root))
        yield WholeNet(Stages(root), lambda path: Path(shutil.copy(NETS[request.param].program, path)))


@pytest.mark.parametrize("width", sorted(WIDTHS))
def test_a_net_compiles_whole_and_the_simulator_agrees(width: str, net: WholeNet, tmp_path: Path) -> None:
    fields, static, tolerance = WIDTHS[width]
    facts, model = net.make({"method": "static", **fields, **SAMPLES}, **static)
    assert facts.scheme.startswith(width)
    assert facts.accuracy_drop <= 0.02
    simulated = net.simulate_whole(model, tmp_path)
    print(f"{width}: largest difference {simulated.difference:.4f} of {abs(simulated.host).max():.1f}")
    assert simulated.difference <= tolerance
    assert simulated.same_answers
