"""A Jupyter kernel that is forked before it is needed, so that it has imported everything already.

A process that talks to a kernel has threads and sockets and must not be forked; hence the kernel
is forked first, waits, and becomes a kernel when it is told where to listen.
"""

import asyncio
import json
import os
import queue
import signal
import socket
import sys
import time
from importlib.metadata import EntryPoint
from typing import Any, ClassVar

from ipykernel.kernelapp import IPKernelApp
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner
from traitlets.config import Config

_NAME = "replicate-forked"
_POLL_S = 0.005
_STARTING_POLLS, _ENDING_POLLS = 4000, 20
_CONTROL_S = 1.0
_LAUNCHER = "ipykernel_launcher"


class Forked:
    """The waiting process, as far as a kernel manager looks at it.

    Args:
        pid: of the process.
        pipe: where it waits for its command.
    """

    stdin = stdout = stderr = None

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._pipe = pipe

    def start(self, arguments: list[str], environment: dict[str, str], folder: str) -> None:
        """Let it become a kernel.

        Raises:
            RuntimeError: it already did; a forked kernel cannot be started twice.
        """
        if self._pipe < 0:
            raise RuntimeError("the kernel of this run died and cannot be started again")
        told = json.dumps({"arguments": arguments, "environment": environment, "folder": folder})
        with os.fdopen(self._pipe, "w", encoding="utf-8") as pipe:
            pipe.write(told)
        self._pipe = -1

    def poll(self) -> int | None:
        """Return its exit code, None while it lives."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self) -> int:
        """Wait for its end and return its exit code."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class PromptClient(AsyncKernelClient):
    """Finds a kernel ready as soon as it answers on both channels that carry outputs.

    The base class waits a fifth of a second for silence, which a kernel that was preloaded has
    had time to need.
    """

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers and what it publishes arrives.

        Args:
            timeout: seconds.

        Raises:
            RuntimeError: it died, or does not answer in time.
        """
        end = time.monotonic() + (timeout or 60)
        while time.monotonic() < end:
            self.kernel_info()
            try:
                reply = await self.get_shell_msg(timeout=1)
                if reply["header"]["msg_type"] == "kernel_info_reply":
                    self._handle_kernel_info_reply(reply)
                    await self.get_iopub_msg(timeout=0.2)
                    return
            except queue.Empty:
                if not await self.is_alive():
                    raise RuntimeError("the kernel died before it answered") from None
        raise RuntimeError(f"the kernel did not answer within {timeout or 60:g} s")


class ForkedProvisioner(LocalProvisioner):
    """Starts the process that was forked beforehand instead of a new one."""

    waiting: ClassVar[Forked]
    _ending = False

    async def shutdown_requested(self, restart: bool = False) -> None:
        """Take note that the kernel is about to end."""
        self._ending = True

    async def poll(self) -> int | None:
        """Return the kernel's exit code, None while it lives.

        A manager that waits for the end asks ten times a second; most kernels end sooner.
        """
        for _ in range(_ENDING_POLLS if self._ending else 0):
            if self.waiting.poll() is not None:
                break
            await asyncio.sleep(_POLL_S)
        return await super().poll()

    async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
        """Tell the waiting process where to listen; ``cmd`` is what would start a new kernel."""
        # a kernel ends with its parent, whose number it would read from the environment at import
        parent = f"--IPKernelApp.parent_handle={os.getpid()}"
        arguments = [*cmd[cmd.index(_LAUNCHER) + 1 :], parent]
        self.waiting.start(arguments, options["env"], str(options.get("cwd") or os.getcwd()))
        self.process = self.waiting  # type: ignore[assignment]
        self.pid = self.pgid = self.waiting.pid
        self.cwd = options.get("cwd")
        await self._listening()
        return self.connection_info

    async def _listening(self) -> None:
        """Wait until the kernel has opened the last of its ports.

        A client that knocks before waits a tenth of a second before it tries again.
        """
        port = int(self.connection_info["hb_port"])
        host = str(self.connection_info["ip"])
        for _ in range(_STARTING_POLLS):
            with socket.socket() as knock:
                if knock.connect_ex((host, port)) == 0 or self.waiting.poll() is not None:
                    return
            await asyncio.sleep(_POLL_S)


def fork() -> Forked | None:
    """Fork the process that will be the kernel of this one.

    Returns:
        The process; None in the process itself, which then calls :func:`become`.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write)
        Waiting.pipe = read
        # interrupts are for the notebook and what it started
        os.setsid()
        return None
    os.close(read)
    return Forked(pid, write)


class Waiting:
    """Where the waiting process listens."""

    pipe: ClassVar[int] = -1


def offer(process: Forked) -> None:
    """Have every kernel manager of this process use a forked process."""
    ForkedProvisioner.waiting = process
    factory = KernelProvisionerFactory.instance()
    value = f"{__name__}:{ForkedProvisioner.__name__}"
    factory.provisioners[_NAME] = EntryPoint(_NAME, value, KernelProvisionerFactory.GROUP_NAME)
    factory.default_provisioner_name = _NAME


# what a notebook client needs to use the prompt client
CLIENT = Config({"KernelManager": {"client_class": f"{__name__}.{PromptClient.__name__}"}})


def become() -> None:
    """Wait for a command, then be a kernel until it is shut down.

    The process starts where a new interpreter would: environment, folder and random numbers are
    its own, the modules are those that were imported before the fork.
    """
    with os.fdopen(Waiting.pipe, encoding="utf-8") as pipe:
        text = pipe.read()
    if not text:
        return
    told = json.loads(text)
    os.environ.clear()
    os.environ.update(told["environment"])
    os.chdir(told["folder"])
    # a copy of the parent's state would give every run the same draws; random does it itself
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    if "torch" in sys.modules:
        sys.modules["torch"].default_generator.seed()
    sys.argv = [_LAUNCHER, *told["arguments"]]
    IPKernelApp.launch_instance(told["arguments"])
    # the thread that heard the request to end still reports; were it left to the end of the
    # process, that would close the channel to which it reports first, and wait for it in vain
    control = IPKernelApp.instance().control_thread
    if control is not None:
        control.join(timeout=_CONTROL_S)
