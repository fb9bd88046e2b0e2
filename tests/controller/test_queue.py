"""The keyed queue: dedup, one worker per key, delays, retries. Time is told, not waited for."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dms_operator.controller.work_queue import Backoff, KeyedQueue, Workers


@pytest.fixture
def queue() -> KeyedQueue[str]:
    return KeyedQueue(Backoff(initial=1, limit=60, jitter=0.5), chance=lambda: 0.0)


def test_a_key_that_is_asked_for_twice_is_worked_on_once(queue: KeyedQueue[str]) -> None:
    queue.add("a", now=0)
    queue.add("a", now=0)
    assert queue.take(0) == "a"
    queue.done("a")
    assert queue.take(100) is None


def test_a_key_in_work_is_not_handed_out_again_before_it_is_done(queue: KeyedQueue[str]) -> None:
    queue.add("a", now=0)
    queue.take(0)
    queue.add("a", now=1)
    assert queue.take(10) is None
    queue.done("a")
    assert queue.take(10) == "a"


def test_a_delayed_key_is_not_due_before_its_time(queue: KeyedQueue[str]) -> None:
    queue.add("a", now=0, delay=5)
    assert queue.take(4.9) is None
    assert queue.next_due() == 5
    assert queue.take(5) == "a"


def test_an_earlier_wish_overtakes_a_delayed_one(queue: KeyedQueue[str]) -> None:
    queue.add("a", now=0, delay=60)
    queue.add("a", now=1)
    assert queue.take(1) == "a"
    queue.done("a")
    assert queue.take(1000) is None


def test_a_later_wish_does_not_push_back_an_earlier_one(queue: KeyedQueue[str]) -> None:
    queue.add("a", now=0)
    queue.add("a", now=0, delay=60)
    assert queue.take(0) == "a"


def test_keys_come_in_the_order_in_which_they_became_due(queue: KeyedQueue[str]) -> None:
    queue.add("late", now=0, delay=3)
    queue.add("early", now=1)
    assert [queue.take(5), queue.take(5)] == ["early", "late"]


def test_retries_wait_longer_each_time_up_to_a_limit(queue: KeyedQueue[str]) -> None:
    waits = [queue.retry("a", now=0) for _ in range(8)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_success_forgets_earlier_failures(queue: KeyedQueue[str]) -> None:
    queue.retry("a", now=0)
    queue.retry("a", now=0)
    queue.succeeded("a")
    assert queue.retry("a", now=0) == 1


def test_a_retry_waits_at_least_as_long_as_the_server_asks(queue: KeyedQueue[str]) -> None:
    assert queue.retry("a", now=0, at_least=7) == 7


def test_jitter_spreads_retries_but_never_shortens_them() -> None:
    backoff = Backoff(initial=1, limit=60, jitter=0.5)
    assert backoff.delay(1, chance=0.0) == 1
    assert backoff.delay(1, chance=0.99) == pytest.approx(1.495)


def test_lag_is_the_time_of_the_most_neglected_key_due_or_in_work(queue: KeyedQueue[str]) -> None:
    assert queue.lag(100) == 0
    queue.add("later", now=0, delay=1000)
    assert queue.lag(100) == 0
    queue.add("due", now=90)
    assert queue.lag(100) == 10
    queue.take(95)
    assert queue.lag(100) == 5


def test_depth_counts_only_keys_that_are_due(queue: KeyedQueue[str]) -> None:
    queue.add("a", now=0)
    queue.add("b", now=0, delay=10)
    assert (queue.depth(0), queue.depth(10)) == (1, 2)


_steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from("abc"), st.integers(0, 5)),
        st.tuples(st.just("take"), st.just(""), st.just(0)),
        st.tuples(st.just("done"), st.just(""), st.just(0)),
        st.tuples(st.just("pass"), st.just(""), st.integers(1, 5)),
    ),
    max_size=60,
)


@given(_steps)
def test_no_wish_is_lost_and_no_key_is_in_work_twice(steps: list[tuple[str, str, int]]) -> None:
    queue: KeyedQueue[str] = KeyedQueue(chance=lambda: 0.0)
    now, active, wished = 0, list[str](), dict[str, int]()
    for what, key, amount in steps:
        if what == "add":
            queue.add(key, now, amount)
            wished[key] = min(now + amount, wished.get(key, 10**9))
        elif what == "take" and (taken := queue.take(now)) is not None:
            assert taken not in active
            assert wished.pop(taken) <= now
            active.append(taken)
        elif what == "done" and active:
            queue.done(active.pop())
        elif what == "pass":
            now += amount
    for key in active:
        queue.done(key)
    rest = [queue.take(10**9) for _ in range(len(wished) + 1)]
    assert set(rest) == {*wished, None}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_workers_do_not_work_on_more_keys_at_once_than_told() -> None:
    running, most, finished = 0, 0, asyncio.Event()
    seen: list[int] = []

    async def work(key: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        seen.append(key)
        if len(seen) == 10:
            finished.set()

    workers = Workers(KeyedQueue[int](), work, count=3)
    for key in range(10):
        workers.add(key)
    task = asyncio.create_task(workers.run())
    await asyncio.wait_for(finished.wait(), 10)
    task.cancel()
    assert most == 3
    assert sorted(seen) == list(range(10))


async def test_a_failed_key_is_tried_again_and_the_failure_told() -> None:
    tries, told = 0, list[str]()
    succeeded = asyncio.Event()

    async def work(key: str) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise RuntimeError("no luck")
        succeeded.set()

    def on_error(key: str, error: Exception) -> float:
        told.append(f"{key} {error}")
        return 0.0

    workers = Workers(KeyedQueue[str](Backoff(initial=0.001)), work, on_error=on_error)
    workers.add("a")
    task = asyncio.create_task(workers.run())
    await asyncio.wait_for(succeeded.wait(), 10)
    task.cancel()
    assert told == ["a no luck", "a no luck"]


async def test_work_that_asks_for_another_look_gets_it() -> None:
    looks, twice = 0, asyncio.Event()

    async def work(key: str) -> float | None:
        nonlocal looks
        looks += 1
        if looks == 2:
            twice.set()
        return 0.001 if looks == 1 else None

    workers = Workers(KeyedQueue[str](), work)
    workers.add("a")
    task = asyncio.create_task(workers.run())
    await asyncio.wait_for(twice.wait(), 10)
    task.cancel()


async def test_a_key_that_is_added_while_the_workers_sleep_wakes_them() -> None:
    worked = asyncio.Event()

    async def work(key: str) -> None:
        worked.set()

    workers = Workers(KeyedQueue[str](), work)
    workers.add("later", delay=3600)
    task = asyncio.create_task(workers.run())
    await asyncio.sleep(0)
    workers.add("now")
    await asyncio.wait_for(worked.wait(), 10)
    task.cancel()


async def test_keys_that_wait_for_an_operator_on_standby_are_no_lag() -> None:
    clock = Clock()

    async def work(key: str) -> None:
        await asyncio.Event().wait()

    workers = Workers(KeyedQueue[str](), work, clock=clock)
    workers.add("a")
    clock.now = 3600.0
    assert workers.lag() == 0
    task = asyncio.create_task(workers.run())
    await asyncio.sleep(0)
    clock.now += 5
    assert workers.lag() == 5
    task.cancel()


async def test_a_long_queue_that_moves_is_no_stall_and_a_key_that_hangs_is_one() -> None:
    clock, hang = Clock(), asyncio.Event()

    async def work(key: int) -> None:
        clock.now += 10
        if key == 50:
            await hang.wait()

    workers = Workers(KeyedQueue[int](), work, count=1, clock=clock)
    for key in range(100):
        workers.add(key)
    task = asyncio.create_task(workers.run())
    for _ in range(300):
        await asyncio.sleep(0)
    assert workers.lag() > 500
    assert workers.stall() <= 10
    clock.now += 60
    assert workers.stall() >= 60
    hang.set()
    task.cancel()


async def test_keys_that_no_worker_takes_are_a_stall() -> None:
    clock = Clock()

    async def work(key: str) -> None: ...

    workers = Workers(KeyedQueue[str](), work, count=0, clock=clock)
    task = asyncio.create_task(workers.run())
    await asyncio.sleep(0)
    clock.now += 100
    assert workers.stall() == 0, "nothing is due"
    workers.add("a")
    clock.now += 100
    assert workers.stall() == 100
    task.cancel()
