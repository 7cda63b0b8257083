# SPDX-License-Identifier: MIT
"""TCP gates in a process of their own: what passes can be cut, closed or swallowed, and goes on when the gate is open again."""

import asyncio
import multiprocessing
import signal
import threading


class Gate:
    """Towards one port, or the first of several that answers. `mode`: open, shut (closed and refused), or deaf (nothing passes, nothing ends).
    `names`: what stands for what in the answers: a Sentinel behind a gate must name the gate of a server, not the server."""

    def __init__(self, ports):
        self.ports, self.mode, self.writers, self.names = ports, "open", set(), {}
        self.opened = None

    async def start(self):
        self.opened = asyncio.Event()
        self.opened.set()
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        return self.server.sockets[0].getsockname()[1]

    async def accept(self, reader, writer):
        if self.mode == "shut":
            writer.close()
            return
        await self.opened.wait()
        for port in self.ports:
            try:
                there = await asyncio.open_connection("127.0.0.1", port)
                break
            except OSError:
                continue
        else:
            writer.close()
            return
        self.writers |= {writer, there[1]}
        await asyncio.gather(self.pump(reader, there[1]), self.pump(there[0], writer, answers=True))
        self.writers -= {writer, there[1]}

    async def pump(self, reader, writer, answers=False):
        try:
            while data := await reader.read(65536):
                await self.opened.wait()
                for name, other in self.names.items() if answers else ():
                    data = data.replace(name, other)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    def set(self, mode):
        self.mode = mode
        if mode == "deaf":
            self.opened.clear()
        else:
            self.opened.set()
        if mode == "shut":
            for writer in self.writers:
                writer.transport.abort()


def serve(pipe, targets):
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def run():
        gates = [Gate(ports) for ports in targets]
        pipe.send([await gate.start() for gate in gates])
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def told():
            try:
                number, mode = pipe.recv()
                if isinstance(mode, dict):
                    gates[number].names = mode
                else:
                    gates[number].set(mode)
            except EOFError:
                loop.remove_reader(pipe.fileno())
                done.set_result(None)
        loop.add_reader(pipe.fileno(), told)
        await done
    asyncio.run(run())


class Gates:
    """One for each list of ports; `ports` are where they listen."""

    def __init__(self, targets):
        self.pipe, there = multiprocessing.Pipe()
        self.lock = threading.Lock()
        self.process = multiprocessing.Process(target=serve, args=(there, targets), daemon=True)
        self.process.start()
        there.close()
        self.ports = self.pipe.recv()

    def set(self, number, mode):
        with self.lock:
            self.pipe.send((number, mode))

    def rename(self, number, ports):
        """In Redis' answers through this gate the second port of each pair stands for the first."""
        assert all(len(str(port)) == 5 for pair in ports for port in pair)
        self.set(number, {b"$5\r\n%d\r\n" % old: b"$5\r\n%d\r\n" % new for old, new in ports})

    def close(self):
        self.pipe.close()
        self.process.kill()
        self.process.join()
