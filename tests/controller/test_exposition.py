"""The kept text is, byte for byte, what the client library would make anew of the same samples."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from controller.fleet_world import fleet_world
from dms_operator.api.status import DeploymentStatus
from dms_operator.controller import exposition
from dms_operator.controller.caches import ObjectName
from dms_operator.controller.exposition import Exposition
from dms_operator.controller.model_samples import FAMILIES, samples_of
from dms_operator.controller.samples import Family, Sample

Samples = dict[ObjectName, list[Sample]]
ODD = (
    Family("dms_odd", 'A help with a \\, a "quote" and\na line', ("namespace", "deployment", "a", "z", "m")),
    Family("dms_even", "", ("deployment",)),
    Family("dms_silent", "Never has a sample", ("namespace",)),
)
NAMES = [ObjectName(namespace, name) for namespace in ("a", "b") for name in ("one", "two", "three")]


class Library(Collector):
    """All samples as the client library's own families."""

    def __init__(self, families: tuple[Family, ...], samples: Samples) -> None:
        self._families, self._samples = families, samples

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            gauge = GaugeMetricFamily(family.name, family.help, labels=family.labels)
            for sample in (each for found in self._samples.values() for each in found if each.family == family):
                gauge.add_metric(sample.labels, sample.value)
            yield gauge


def made_anew(families: tuple[Family, ...], samples: Samples) -> bytes:
    registry = CollectorRegistry()
    registry.register(Library(families, samples))
    return generate_latest(registry)


def text(kept: Exposition) -> bytes:
    return b"".join(kept.pieces())


@st.composite
def odd_samples(draw: st.DrawFn) -> list[Sample]:
    found = []
    for family in draw(st.lists(st.sampled_from(ODD[:2]), max_size=4)):
        labels = draw(st.tuples(*[st.text(st.characters(codec="utf-8"), max_size=5)] * len(family.labels)))
        found.append(Sample(family, labels, draw(st.floats() | st.integers(-(2**40), 2**80))))
    return found


CHANGES = st.lists(st.tuples(st.sampled_from(NAMES), st.none() | odd_samples()), max_size=20)


@given(CHANGES)
def test_whatever_comes_changes_and_goes_the_text_is_that_of_the_client_library(
    changes: list[tuple[ObjectName, list[Sample] | None]],
) -> None:
    kept, samples = Exposition(ODD), Samples()
    for name, found in changes:
        if found is None:
            kept.forget(name)
            samples.pop(name, None)
        else:
            kept.put(name, found)
            samples[name] = found
        assert text(kept) == made_anew(ODD, samples)


def test_in_every_state_of_a_rollout_the_text_is_that_of_the_client_library() -> None:
    fleet, kept, samples, texts = fleet_world(), Exposition(FAMILIES), Samples(), set()
    while fleet.rollout.get("state") != "Completed":
        fleet.reconcile()
        for name in NAMES[:2]:
            samples[name] = samples_of(name, fleet.body["spec"], DeploymentStatus.model_validate(fleet.status))
            kept.put(name, samples[name])
        texts.add(text(kept))
        assert text(kept) == made_anew(FAMILIES, samples)
        for job in fleet.unfinished()[:1]:
            fleet.finish(job)
        fleet.tick()
    assert len(texts) > 10, "what is shown changes on the way"


def test_a_text_that_is_being_read_stays_that_of_one_moment() -> None:
    kept, family = Exposition(ODD[1:2]), ODD[1]
    number = 2 * exposition.PIECE + 1
    for index in range(number):
        kept.put(ObjectName("a", f"d{index}"), [Sample(family, (f"d{index}",), 1)])
    before, pieces = text(kept), kept.pieces()
    read = [next(pieces), next(pieces)]
    for index in range(number):
        kept.put(ObjectName("a", f"d{index}"), [Sample(family, (f"d{index}",), 2)])
    kept.forget(ObjectName("a", "d0"))
    assert b"".join([*read, *pieces]) == before != text(kept)


def test_no_piece_holds_more_than_its_share_of_deployments() -> None:
    kept, family = Exposition(ODD[1:2]), ODD[1]
    for index in range(2 * exposition.PIECE + 1):
        kept.put(ObjectName("a", f"d{index}"), [Sample(family, (f"d{index}",), 1)])
    assert [piece.count(b"\ndms_even{") + piece.startswith(b"dms_even{") for piece in kept.pieces()] == [
        0,
        exposition.PIECE,
        exposition.PIECE,
        1,
    ]
