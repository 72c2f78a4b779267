"""Configs in the API's words, read back: the other direction of `coordinator.report.public_config`."""

from collections.abc import Mapping
from typing import Any

from study.config import Arm, Config
from study.spec import StudySpec


def config_of(spec: StudySpec, parameters: Mapping[str, Any]) -> Config:
    """The config of a study that `parameters` are the public form of.

    Args:
        spec: the study.
        parameters: model, prompt or messages, further parameters, n.

    Raises:
        ValueError: the study has no such template.
    """
    rest = dict(parameters)
    prompt = rest.pop("messages") if "messages" in rest else rest.pop("prompt")
    shown = [
        f"{{{template['column']}}}" if isinstance(template, dict) else template
        for template in spec.search_space.templates
    ]
    model, n = rest.pop("model"), rest.pop("n")
    return Config(arm=Arm(model=model, template=shown.index(prompt), params=rest), n=n)
