"""Credentials: whether there is a key to buy with, known before anything starts; never shown."""

import os

from study.errors import CredentialsError
from study.spec import EndpointSpec
from study.studies import Source


def check(endpoint: EndpointSpec) -> None:
    """Make sure that this machine can buy at an endpoint.

    Raises:
        CredentialsError: the endpoint needs a key, and there is none.
    """
    from workers import llm  # takes a second, for the API's client
    from workers.failures import Unauthorised

    base_url = llm.base_url_of(endpoint, override=None, environ=os.environ)
    try:
        llm.key_of(endpoint, base_url=base_url, source=Source.MODEL, environ=os.environ)
    except Unauthorised as exc:
        raise missing(endpoint) from exc


def missing(endpoint: EndpointSpec) -> CredentialsError:
    """What to say where an endpoint needs a key, and this process has none."""
    variable = "AZURE_OPENAI_API_KEY" if endpoint.provider == "azure" else "OPENAI_API_KEY"
    problem = "holds no key" if os.environ.get(variable, "").strip() else "is not set"
    return CredentialsError(
        f"{variable} {problem}, so nothing can be bought. Export it, or set endpoint.base_url "
        "to a server that needs none. A rehearsal needs no key: `bursar rehearse STUDY.toml`, or "
        "in Python `with bursar.rehearsal():`"
    )
