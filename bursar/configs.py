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
    model, n = rest.pop("model"), rest.pop("n")
    template = prompts_of(spec).index(prompt)
    return Config(arm=Arm(model=model, template=template, params=rest), n=n)


def prompts_of(spec: StudySpec) -> list[Any]:
    """A study's prompts in their public form: a callable's shows as the column that it filled."""
    return [
        f"{{{template['column']}}}" if isinstance(template, dict) else template
        for template in spec.search_space.templates
    ]
