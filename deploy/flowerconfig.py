"""Flower's settings: what operators see of the fleet, ids and outcomes, never prompts.

No package of the house: Flower runs this file, under this name, from its working directory. Who may
look (FLOWER_BASIC_AUTH) and whether they may act (FLOWER_READ_ONLY) are the environment's.
"""

import ast
import os
from typing import Any

from study import broker, connection

app = broker.app(connection.broker_url(os.environ[connection.URL_VARIABLE]))
"""The fleet's Celery app: a visibility timeout other than the workers' would send tasks twice."""

persistent = True
state_save_interval = 60_000  # ms
max_tasks = 5_000  # kept in memory
purge_offline_workers = 300  # s
tasks_columns = "name,uuid,state,args,result,received,runtime,worker"


def format_task(task: Any) -> Any:
    """Make an evaluation readable: which study, trial, arm, example and draws.

    Args:
        task: Flower's own copy of a task, as Celery's events describe it.

    Returns:
        The same task. Arguments that are not an evaluation's are not shown; the result is what the
        worker says in a few words.
    """
    task.args = _evaluation(task.args)
    task.kwargs = ""
    task.result = (task.result or "").strip("'")
    return task


def _evaluation(args: str | None) -> str:
    """What the arguments of an evaluation say; events carry them as Python's `repr`, cut if long."""
    try:
        (message,) = ast.literal_eval(args or "")
        last_draw = message["first_draw"] + message["draws"] - 1
        return (
            f"{message['study']} trial {message['trial']} arm {message['arm']} "
            f"{message['example']} draws {message['first_draw']}-{last_draw}"
        )
    except (ValueError, SyntaxError, TypeError, KeyError):
        return "..."
