"""Asks the Docker engine who it is, through the library that will use it.

It needs the virtual environment, and is run by its Python.
"""

import json
import sys

import docker
from docker.errors import DockerException

ANSWER_TIMEOUT_S = 10


def probe() -> dict[str, object]:
    """What engine `docker.from_env()` finds.

    Returns:
        `version`, and `networks`: whether containers could talk to each other (a sandbox needs no
        network, compose does).

    Raises:
        DockerException: none answers.
    """
    client = docker.from_env(timeout=ANSWER_TIMEOUT_S)
    client.ping()
    return {
        "version": client.version()["Version"],
        "networks": bool(client.networks.list(names=["^bridge$"])),
    }


if __name__ == "__main__":
    try:
        print(json.dumps(probe()))
    except (DockerException, OSError) as error:
        sys.exit(str(error))
