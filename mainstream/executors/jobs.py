"""Jobs of a training server, through Ray's job API: HTTP and JSON. No answer of a server is unpickled."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import urlopen

from mainstream._optional import load_quietly
from mainstream.description import shown
from mainstream.errors import ProblemError
from mainstream.executors.cluster import EXTRA, ray

_URL: Final = re.compile(r"https?://(\[[0-9a-fA-F:]+\]|[\w.-]+)(:\d{1,5})?/?")
_PATIENCE_S: Final = 10
_MOST: Final = 1000
"""How many machines of a cluster are looked at."""


@dataclass(frozen=True)
class Job:
    """A job of a server.

    Attributes
    ----------
    id : str
    state : str
        "pending", "running", "succeeded", "failed", "stopped".
    command : str
    told : str
        What Ray says about its state.
    """

    id: str
    state: str
    command: str
    told: str


class Jobs:
    """The jobs of a server.

    Parameters
    ----------
    url : str
        http://HOST:PORT.

    Raises
    ------
    MissingExtraError
        Ray is not installed.
    ProblemError
        Nothing answers there in time, it is not such a server, or it needs another token.
    """

    def __init__(self, url: str) -> None:
        if not _URL.fullmatch(url):
            raise ProblemError(f"server {shown(url)}: give http://HOST:PORT, such as http://127.0.0.1:8265")
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        ray()
        self._url = url.rstrip("/")
        self._knock()
        module = load_quietly("ray.job_submission", EXTRA)
        logging.getLogger("ray.dashboard.modules.job.sdk").setLevel(logging.ERROR)  # it logs each connection
        self._client: Any = self._asked(lambda: module.JobSubmissionClient(self._url))

    def submit(self, name: str, command: Sequence[str], cpus: int, gpus: float) -> str:
        """Queue a command and give the job's id. It starts when a machine has these CPUs and GPUs free.

        Raises
        ------
        ProblemError
            No machine of the server has that many.
        """
        machines = self.machines()
        for what, asked in (("CPU", cpus), ("GPU", gpus)):
            most = max((one.get(what, 0) for one in machines), default=0)
            if asked > most:
                raise ProblemError(f"{self._url}: no machine there has {asked:g} {what}s; the most is {most:g}")
        return str(
            self._asked(
                lambda: self._client.submit_job(
                    entrypoint=shlex.join(command),
                    submission_id=f"{name}-{token_hex(4)}",
                    entrypoint_num_cpus=cpus,
                    entrypoint_num_gpus=gpus,
                )
            )
        )

    def machines(self) -> Sequence[Mapping[str, float]]:
        """The resources of each machine of the server: "CPU", "GPU" and more."""
        state = load_quietly("ray.util.state", EXTRA)
        found = self._asked(lambda: state.list_nodes(address=self._url, limit=_MOST, detail=True))
        return [one.resources_total for one in found if one.state == "ALIVE"]

    def list(self) -> list[Job]:
        """All jobs, the oldest first."""
        found = self._asked(self._client.list_jobs)
        return [self._job(one) for one in sorted(found, key=lambda one: one.start_time or 0) if one.submission_id]

    def get(self, job_id: str) -> Job:
        """One job."""
        return self._job(self._asked(lambda: self._client.get_job_info(job_id), job_id))

    def follow(self, job_id: str, write: Callable[[str], object]) -> Job:
        """Pass on everything that a job prints, from its start to its end."""
        self.get(job_id)

        async def follow() -> None:
            async for text in self._client.tail_job_logs(job_id):
                write(text)

        self._asked(lambda: asyncio.run(follow()), job_id)
        return self.get(job_id)

    def cancel(self, job_id: str) -> bool:
        """End a job; one in the queue ends when its turn comes. False if it had ended already."""
        return bool(self._asked(lambda: self._client.stop_job(job_id), job_id))

    @staticmethod
    def _job(one: Any) -> Job:
        told = " ".join((one.message or "").split())
        return Job(one.submission_id, one.status.value.lower(), one.entrypoint, told)

    def _knock(self) -> None:
        """Check within seconds that an HTTP server answers; Ray's client would wait for ever."""
        try:
            with suppress(HTTPError), urlopen(f"{self._url}/api/version", timeout=_PATIENCE_S) as answer:
                answer.read(1)
        except (OSError, ValueError) as error:
            raise ProblemError(f"{self._url}: no training server answers there: {str(error).lower()}") from None
        except Exception as error:  # http.client's own errors: the server speaks another protocol
            raise ProblemError(f"{self._url}: not a training server: {type(error).__name__}") from None

    def _asked(self, ask: Callable[[], Any], job_id: str = "") -> Any:
        try:
            return ask()
        except Exception as error:  # RuntimeError, ConnectionError, AuthenticationError and those of requests
            said = " ".join(str(error).split())
        if "401" in said or "403" in said or "token" in said.lower():
            raise ProblemError(
                f"{self._url}: it needs another token; put it in a file and the file's path in RAY_AUTH_TOKEN_PATH"
            )
        if job_id and ("404" in said or "does not exist" in said):
            raise ProblemError(f"{self._url}: there is no job {shown(job_id)}; see `mainstream train-jobs list`")
        raise ProblemError(f"{self._url}: not a training server, or it fails: {said[:150]}")
