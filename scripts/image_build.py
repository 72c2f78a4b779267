"""Builds the sandbox image and starts one container of it; run by the venv's Python.

Prints the image's name. Ends with `ENGINE_EXIT_CODE` where the engine answers but can't run
containers (some unprivileged hosts), which is not the same as an image that can't be built.
"""

import sys

import docker
from docker.errors import APIError, ContainerError

import sandbox

ENGINE_EXIT_CODE = 3


def main() -> int:
    """Builds, tries, and says what came of it."""
    client = docker.from_env()
    image = sandbox.build_image(client)
    try:
        client.containers.run(image, ["true"], network_mode="none", remove=True)
    except ContainerError:
        pass  # it ran: what it did there is no concern of the engine's
    except APIError as error:
        if error.is_server_error():
            print(error.explanation, file=sys.stderr)
            return ENGINE_EXIT_CODE
    print(image)
    return 0


if __name__ == "__main__":
    sys.exit(main())
