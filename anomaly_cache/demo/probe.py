"""Ask a program of the demo over HTTP."""

import asyncio

SECONDS = 2.0


async def get(port: int, path: str) -> tuple[int, bytes] | None:
    """Return the status and body of `GET path` on this loopback port; None where nothing answers."""
    request = f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"
    try:
        async with asyncio.timeout(SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request.encode())
                answer = await reader.read()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split()
    return (int(words[1]), body) if len(words) > 1 and words[1].isdigit() else None
