"""What shares a call of the model, how long it waits for company, and what is refused."""

import asyncio
import time

import numpy as np
import pytest

from tfcifar.serving.batching import Batcher
from tfcifar.serving.errors import RequestError


def numbered(*values):
    """Images of one pixel that carry a number each."""
    return np.array(values, np.uint8).reshape(-1, 1, 1, 1)


def make_batcher(fake, **changes):
    def double(images):
        fake(np.zeros((len(images), 1, 1, 3), np.uint8))  # counts, and waits where a test says so
        return 2 * images.reshape(-1, 1).astype(np.float32)

    return Batcher(double, **{"max_batch": 8, "max_delay": 0.0, "max_queue": 20} | changes)


async def until_busy(fake):
    while not fake.started.is_set():
        await asyncio.sleep(0.001)


def test_what_waits_while_the_model_is_busy_goes_together_and_everyone_gets_their_own(fake):
    async def requests():
        batcher = make_batcher(fake)
        fake.go.clear()
        first = batcher.submit(numbered(1))
        await until_busy(fake)
        later = [batcher.submit(numbered(10 * i, 10 * i + 1)) for i in range(1, 6)]
        fake.go.set()
        answers = await asyncio.gather(first, *later)
        batcher.close()
        return [answer.ravel().tolist() for answer in answers]

    assert asyncio.run(requests()) == [[2], [20, 22], [40, 42], [60, 62], [80, 82], [100, 102]]
    assert fake.batches == [1, 8, 2]  # five pairs: four fill a batch of eight


def test_a_request_larger_than_a_batch_goes_alone_in_parts(fake):
    async def requests():
        batcher = make_batcher(fake)
        answer = await batcher.submit(numbered(*range(19)))
        batcher.close()
        return answer

    assert asyncio.run(requests()).ravel().tolist() == [2 * i for i in range(19)]
    assert fake.batches == [8, 8, 3]


def test_a_lone_caller_does_not_wait_and_after_company_waits_once(fake):
    async def requests():
        batcher, seconds = make_batcher(fake, max_delay=0.2), []
        for images in (numbered(1), numbered(1), numbered(1, 2, 3), numbered(1), numbered(1)):
            started = time.perf_counter()
            await batcher.submit(images)
            seconds.append(time.perf_counter() - started)
        batcher.close()
        return seconds

    waited = [seconds >= 0.2 for seconds in asyncio.run(requests())]
    assert waited == [False, False, False, True, False]  # the fourth expected three images, as there had been


def test_a_batch_starts_as_soon_as_it_is_as_large_as_the_last_one(fake):
    async def requests():
        batcher = make_batcher(fake, max_delay=5.0)
        await batcher.submit(numbered(1, 2, 3))
        await asyncio.gather(*(batcher.submit(numbered(i)) for i in range(3)))
        batcher.close()

    started = time.perf_counter()
    asyncio.run(requests())
    assert time.perf_counter() - started < 4
    assert fake.batches == [3, 3]


def test_a_full_queue_refuses_and_says_when_to_come_again(fake):
    async def requests():
        batcher = make_batcher(fake, max_queue=3)
        fake.go.clear()
        accepted = [batcher.submit(numbered(1))]
        await until_busy(fake)
        accepted.append(batcher.submit(numbered(2, 3, 4)))
        batcher.seconds_per_image = 1.5
        with pytest.raises(RequestError, match="queue is full") as refused:
            batcher.submit(numbered(5))
        fake.go.set()
        await asyncio.gather(*accepted)
        assert (await batcher.submit(numbered(5))).item() == 10
        batcher.close()
        return refused.value

    refused = asyncio.run(requests())
    assert refused.status == 429
    assert refused.headers == {"Retry-After": "5"}  # three images of 1.5 s, rounded up


def test_closing_answers_what_is_queued_and_refuses_what_comes_after(fake):
    async def requests():
        batcher = make_batcher(fake)
        fake.go.clear()
        accepted = [batcher.submit(numbered(i)) for i in range(10)]
        batcher.close()
        with pytest.raises(RequestError, match="unloaded") as refused:
            batcher.submit(numbered(1))
        assert refused.value.status == 503
        fake.go.set()
        answers = await asyncio.gather(*accepted)
        batcher.join(10)
        assert not batcher.thread.is_alive()
        return [answer.item() for answer in answers]

    assert asyncio.run(requests()) == [2 * i for i in range(10)]


def test_a_model_that_fails_once_is_asked_again():
    calls = []

    def fails_first(images):
        calls.append(len(images))
        if len(calls) == 1:
            raise RuntimeError("out of memory")
        return images.reshape(-1, 1).astype(np.float32)

    async def requests():
        batcher = Batcher(fails_first, 8, 0.0, 20)
        with pytest.raises(RequestError, match="the model failed") as failed:
            await batcher.submit(numbered(1))
        assert failed.value.status == 500
        assert (await batcher.submit(numbered(7))).item() == 7
        batcher.close()

    asyncio.run(requests())


def test_who_has_given_up_costs_the_model_nothing(fake):
    async def requests():
        batcher = make_batcher(fake)
        fake.go.clear()
        first = batcher.submit(numbered(1))
        await until_busy(fake)
        given_up, last = batcher.submit(numbered(2)), batcher.submit(numbered(3))
        given_up.cancel()
        fake.go.set()
        assert (await first).item() == 2
        assert (await last).item() == 6
        batcher.close()

    asyncio.run(requests())
    assert fake.batches == [1, 1]
