"""Background tasks that die."""

import asyncio

from structlog.testing import capture_logs

from service.supervision import Supervision


async def ended(task: asyncio.Task[None]) -> None:
    """Wait until a task and its callbacks are done."""
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0)


async def fail() -> None:
    """Fail."""
    raise RuntimeError("broken")


async def succeed() -> None:
    """Do nothing."""


async def test_a_task_that_fails_is_noticed_once() -> None:
    """The first failure is told to whoever ends the process, and logged with its reason."""
    failures: list[bool] = []
    supervision = Supervision(lambda: failures.append(True))
    with capture_logs() as lines:
        for name in ("first", "second"):
            task = asyncio.create_task(fail(), name=name)
            supervision.watch(task, may_end=True)
            await ended(task)
    assert supervision.failed == "first"
    assert failures == [True]
    assert [(line["event"], line["task"]) for line in lines] == [
        ("background task died", "first"),
        ("background task died", "second"),
    ]


async def test_a_task_that_should_run_for_ever_must_not_end() -> None:
    """Not by itself, and not by being cancelled by somebody else."""
    for work in (succeed(), asyncio.sleep(60)):
        supervision = Supervision(lambda: None)
        task = asyncio.ensure_future(work)
        supervision.watch(task)
        await asyncio.sleep(0)
        task.cancel()
        await ended(task)
        assert supervision.failed is not None


async def test_a_task_may_end_where_that_is_its_nature() -> None:
    """And any task may at the process' end."""
    supervision = Supervision(lambda: None)
    task = asyncio.create_task(succeed())
    supervision.watch(task, may_end=True)
    await ended(task)
    task = asyncio.create_task(asyncio.sleep(60))
    supervision.watch(task)
    supervision.stop()
    task.cancel()
    await ended(task)
    assert supervision.failed is None
