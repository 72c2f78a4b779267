"""Builds the sandbox image and starts one container of it; run by the venv's Python.

Prints the image's name. Ends with `ENGINE_EXIT_CODE` where the engine answers but can't run
containers (some unprivileged hosts), which is not the same as an image that can't be built.
"""

import sys

import docker
from docker.errors import APIError

import sandbox

ENGINE_EXIT_CODE = 3


def main() -> int:
    """Builds, tries, and says what came of it.

    Returns:
        The exit code: 0, or `ENGINE_EXIT_CODE`.
    """
    client = docker.from_env()
    try:
        image = sandbox.build_image(client)
        try_out(client, image)
    except Exception as error:
        fault = fault_of_engine(error)
        if fault is None:
            raise
        print(" ".join(str(fault.explanation).split()), file=sys.stderr)
        return ENGINE_EXIT_CODE
    print(image)
    return 0


def try_out(client: docker.DockerClient, image: str) -> None:
    """Starts one container of the image, and removes it.

    Args:
        client: the engine's.
        image: the image's name.

    Raises:
        APIError: the engine can't start it.
    """
    container = client.containers.create(image, ["true"], network_mode="none")
    try:
        container.start()
    except APIError as error:
        if error.is_server_error():  # a client error, such as "no such program", is the image's
            raise
    finally:
        container.remove(force=True)


def fault_of_engine(error: BaseException | None) -> APIError | None:
    """The engine's own failure (a 5xx answer) among an error and its causes, if there is one."""
    while error is not None:
        if isinstance(error, APIError) and error.is_server_error():
            return error
        error = error.__cause__
    return None


if __name__ == "__main__":
    sys.exit(main())
