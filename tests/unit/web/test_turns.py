"""Who is answered next: `ehr_server.web.turns`."""

import asyncio

import pytest

from ehr_server.web.turns import Turns


def _order(asked: list[str], threads: int) -> list[str]:
    """In which order the requests of clients have their turns, all asked at once, a turn ending
    only when nobody else can begin."""

    async def run() -> list[str]:
        turns, begun, ending = Turns(threads), list[str](), list[str]()

        async def one(client: str) -> None:
            assert await turns.take(client, 60)
            begun.append(client)
            ending.append(client)

        tasks = [asyncio.create_task(one(client)) for client in asked]
        while not all(task.done() for task in tasks):
            for _ in range(5):
                await asyncio.sleep(0)
            if ending:
                turns.over(ending.pop(0))
        return begun

    return asyncio.run(run())


def test_who_asks_once_waits_for_one_turn_of_who_asks_a_hundred_times() -> None:
    order = _order(["noisy"] * 100 + ["quiet"] + ["noisy"] * 100, threads=1)
    assert order.index("quiet") <= 2
    assert len(order) == 201


def test_clients_take_turns() -> None:
    order = _order(["a"] * 50 + ["b"] * 50 + ["c"] * 50, threads=1)
    for start in range(3, 140, 3):
        assert set(order[start : start + 3]) == {"a", "b", "c"}


def test_one_client_leaves_threads_to_others() -> None:
    async def run() -> None:
        turns = Turns(8)
        given = [await turns.take("noisy", 0) for _ in range(8)]
        assert given == [True] * 6 + [False] * 2
        assert await turns.take("quiet", 0)
        assert await turns.take("other", 0)
        assert not await turns.take("third", 0)  # all have begun
        turns.over("noisy")
        assert await turns.take("third", 0)

    asyncio.run(run())


def test_while_others_are_there_a_client_has_few_threads_and_then_more() -> None:
    async def run() -> None:
        turns = Turns(8)
        assert await turns.take("quiet", 0)
        noisy = [asyncio.create_task(turns.take("noisy", 60)) for _ in range(16)]
        await asyncio.sleep(0)
        assert sum(task.done() for task in noisy) == 2
        turns.over("quiet")
        await asyncio.sleep(0.01)
        assert sum(task.done() for task in noisy) == 6
        for _ in range(4):
            turns.over("noisy")
        assert await turns.take("quiet", 0)
        for _ in range(20):
            await asyncio.sleep(0)
        assert sum(task.done() for task in noisy) == 10
        for task in noisy:
            task.cancel()

    asyncio.run(run())


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_where_clients_are_not_told_apart_all_threads_are_used(threads: int) -> None:
    async def run() -> None:
        turns = Turns(threads)
        given = [await turns.take("", 0) for _ in range(threads + 1)]
        assert given == [True] * threads + [False]
        turns.over("")
        assert await turns.take("", 0)

    asyncio.run(run())


def test_who_is_cut_off_while_waiting_takes_no_turn() -> None:
    async def run() -> None:
        turns = Turns(1)
        assert await turns.take("a", 0)
        gone = asyncio.create_task(turns.take("b", 60))
        given = asyncio.create_task(turns.take("c", 60))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        turns.over("a")
        assert await given
        turns.over("c")
        last = asyncio.create_task(turns.take("d", 60))
        assert await last
        late = asyncio.create_task(turns.take("e", 60))
        await asyncio.sleep(0)
        turns.over("d")
        late.cancel()  # its turn came at the same moment
        with pytest.raises(asyncio.CancelledError):
            await late
        assert await turns.take("f", 1)

    asyncio.run(run())
