"""The training: it moves the weights, repeats exactly, mirrors honestly, and its big nets are the published ones."""

from dataclasses import replace

import pytest
import torch

from driver_monitor.behaviour import LABELS
from driver_monitor.distill import Teacher
from driver_monitor.nets import NETS, Recipe
from driver_monitor.train import accuracy, learn, mirror, render_clips, train


@pytest.mark.parametrize("name", NETS)
def test_a_step_of_training_moves_the_weights_and_repeats_exactly(name: str) -> None:
    net = NETS[name]
    recipe, clips, lines = (
        replace(net.recipe, epochs=2, distilled_epochs=0, batch=4),
        render_clips(4, seed=1),
        list[str](),
    )
    first, second = (train(net.reference, clips, recipe, lines.append) for _ in range(2))
    torch.manual_seed(recipe.seed)
    fresh = net.reference()
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first.parameters(), fresh.parameters(), strict=True))
    assert len(lines) == 2 * recipe.epochs
    assert 0 <= accuracy(first, clips) <= 1


def test_a_distilled_net_comes_closer_to_what_the_teacher_sees() -> None:
    net = NETS["mobilenet-v3-small"].reference()
    clips, lines = render_clips(4, seed=1), list[str]()
    teacher = Teacher(torch.export.load(NETS["resnet18"].program).state_dict)
    learn(net, clips, replace(Recipe(), batch=4), 6, teacher, lines.append)
    before, *_, after = (float(line.split()[-1]) for line in lines)
    assert after < before
    with teacher.watching(net.embed):
        net(clips.batch(torch.arange(4))[0])
    assert teacher.loss(clips.batch(torch.arange(4))[0]) > 0


def test_mirroring_swaps_left_and_right_and_nothing_else() -> None:
    frames = torch.rand(6, 8, 3, 4, 4)
    labels = torch.arange(6)
    mirrored, swapped = mirror(frames, labels, torch.tensor([True] * 5 + [False]))
    assert swapped.tolist() == [0, 1, 2, 4, 3, 5]
    assert torch.equal(mirrored[:5], frames[:5].flip(-1))
    assert torch.equal(mirrored[5], frames[5])


@pytest.mark.parametrize(
    ("name", "published", "classifier"),
    [
        ("resnet18", 11_689_512, 512 * 1000 + 1000),  # torchvision's count, with its 1000 classes
        ("mobilenet-v3-small", 2_542_856, 576 * 1024 + 1024 + 1024 * 1000 + 1000),  # torchvision's count
        ("efficientnet-lite0", 4_652_008, 1280 * 1000 + 1000),  # timm's tf_efficientnet_lite0
    ],
)
def test_the_full_size_backbone_is_the_published_one(name: str, published: int, classifier: int) -> None:
    net = NETS[name].full_size()
    assert sum(parameter.numel() for parameter in net.backbone.parameters()) + classifier == published


@pytest.mark.parametrize("name", NETS)
def test_the_full_size_net_takes_frames_of_224(name: str) -> None:
    net = NETS[name].full_size().eval()
    with torch.no_grad():
        assert net(torch.zeros(1, 8, 3, 224, 224)).shape == (1, len(LABELS))
