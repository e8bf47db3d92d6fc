"""The sockets that our HTTP servers listen on."""

import asyncio
import socket

from shared.runtime.serving import listen


async def test_connections_send_each_part_of_an_answer_at_once() -> None:
    without_delay: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def look(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted = writer.get_extra_info("socket")
        without_delay.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listening = listen("127.0.0.1", 0, "SMB_HTTP_PORT")
    async with await asyncio.start_server(look, sock=listening):
        _, writer = await asyncio.open_connection(*listening.getsockname())
        assert await without_delay
        writer.close()
