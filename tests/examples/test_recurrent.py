"""The written-out GRU is torch's GRU, and the recurrent heads export as one operator each."""

from collections import Counter
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from driver_monitor.behaviour import FRAMES
from driver_monitor.export import export_program, save_onnx
from driver_monitor.recurrent import Cell, UnrolledGru, with_recurrent_head


def test_the_unrolled_gru_computes_what_torchs_gru_computes() -> None:
    torch.manual_seed(0)
    ours, theirs = UnrolledGru(12, 16), nn.GRU(12, 16, batch_first=True)
    theirs.load_state_dict(
        {
            "weight_ih_l0": ours.inputs.weight, "bias_ih_l0": ours.inputs.bias,
            "weight_hh_l0": ours.recurrent.weight, "bias_hh_l0": ours.recurrent.bias,
        }
    )  # fmt: skip
    tokens = torch.randn(3, FRAMES, 12)
    torch.testing.assert_close(ours(tokens), theirs(tokens)[0])


@pytest.mark.parametrize(("cell", "operator"), [("gru", "GRU"), ("lstm", "LSTM")])
def test_a_recurrent_head_is_one_operator_in_onnx(cell: Cell, operator: str, tmp_path: Path) -> None:
    net = with_recurrent_head(cell)
    model = onnx.load(save_onnx(export_program(net), tmp_path / "net.onnx"))
    assert Counter(node.op_type for node in model.graph.node)[operator] == 1
