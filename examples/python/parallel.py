"""With asyncio: ten containers at once, a conversation with one of them, and one that is cancelled."""

import asyncio

from containers import aio


async def main() -> None:
    """Everything at once, on one thread."""
    async with aio.Runtime() as rt:
        outputs = await asyncio.gather(
            *(rt.containers.run("host", ["sh", "-c", f"echo $(({n} * {n}))"], text=True) for n in range(10))
        )
        print("squares", " ".join(o.stdout.strip() for o in outputs))

        async with await rt.containers.create("host", ["sleep", "60"]) as c:
            await c.start()
            async with await c.exec(["sh", "-c", "for i in 1 2 3; do echo line $i; sleep 0.1; done"]) as p:
                async for stream, data in p:
                    print(stream, data.decode().strip())

        # Cancelling a task, here by a timeout, kills its container.
        try:
            await asyncio.wait_for(rt.containers.run("host", ["sleep", "60"]), timeout=0.5)
        except asyncio.TimeoutError:
            print("cancelled")


asyncio.run(main())
