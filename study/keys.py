"""Every Redis key, each a function here, with its type, its content and how long it lives.

A script's keys must share a slot: the ledger's keys share one hash tag, since a study's account and
the fleet's move together; a study's other keys share a tag of their own. Keys without a TTL are on
the permanent list: they are the study, and go when it is forgotten (`study.retention`).
"""

from fnmatch import fnmatchcase
from typing import Final

PREFIX: Final = "bursar"
FLEET_ACCOUNT: Final = "fleet"
REHEARSALS_ACCOUNT: Final = "rehearsals"
"""The fleet of rehearsals: pretended money never weighs on the real limit."""
REHEARSAL_PREFIX: Final = "rehearsal/"


def account(name: str) -> str:
    """Hash, permanent: limit, spent, reserved, in_doubt, overrun (nanodollars)."""
    return f"{PREFIX}:{{ledger}}:account:{name}"


def reservations(name: str) -> str:
    """Hash, permanent: reservation id -> `reserved:`, `settled:` or `released:` with the amount."""
    return f"{PREFIX}:{{ledger}}:reservations:{name}"


def journal(name: str) -> str:
    """Stream, permanent: one entry for each movement of an account; they sum to its balance."""
    return f"{PREFIX}:{{ledger}}:journal:{name}"


def brought_forward(name: str) -> str:
    """Hash, permanent: reserved, spent, in_doubt, movements: of the journal's entries that were summed up."""
    return f"{PREFIX}:{{ledger}}:brought_forward:{name}"


def studies() -> str:
    """Sorted set, permanent: study id by the time it was created."""
    return f"{PREFIX}:studies"


def study(study_id: str) -> str:
    """Hash, permanent: what a `StudyRecord` says, status, the last report."""
    return f"{PREFIX}:{{{study_id}}}:study"


def lease(study_id: str) -> str:
    """String with a TTL: which coordinator drives the study."""
    return f"{PREFIX}:{{{study_id}}}:lease"


def examples(study_id: str) -> str:
    """Hash, permanent: example id (`tune-3`) -> the dataset's row (JSON)."""
    return f"{PREFIX}:{{{study_id}}}:examples"


def trials(study_id: str) -> str:
    """Hash, permanent: trial number -> the trial (JSON)."""
    return f"{PREFIX}:{{{study_id}}}:trials"


def paid_calls(study_id: str, arm: str, example: str) -> str:
    """Hash, permanent: `first+draws` -> the paid answer (JSON), stored before it is settled."""
    return f"{PREFIX}:{{{study_id}}}:paid_calls:{arm}/{example}"


def prompt_tokens(study_id: str) -> str:
    """Hash, permanent: name of a prompt -> its tokens, as the provider billed them."""
    return f"{PREFIX}:{{{study_id}}}:prompt_tokens"


def attempts(study_id: str) -> str:
    """Hash, permanent: call id -> the number of attempts begun."""
    return f"{PREFIX}:{{{study_id}}}:attempts"


def claim(study_id: str, call_id: str) -> str:
    """String with a TTL: which worker is making this call now."""
    return f"{PREFIX}:{{{study_id}}}:claim:{call_id}"


def sent(study_id: str) -> str:
    """Hash, permanent: evaluation id -> its message, from when it is sent until its result is final."""
    return f"{PREFIX}:{{{study_id}}}:sent"


def eval_func_errors(study_id: str) -> str:
    """Hash, permanent: evaluation id -> the traceback of the user's function, or `` past the first 20."""
    return f"{PREFIX}:{{{study_id}}}:eval_func_errors"


def results_recorded(study_id: str) -> str:
    """Set, permanent: ids of the evaluations whose result is in the stream."""
    return f"{PREFIX}:{{{study_id}}}:results_recorded"


def results(study_id: str) -> str:
    """Stream, permanent: every result once, in the order in which they came."""
    return f"{PREFIX}:{{{study_id}}}:results"


def worker(name: str) -> str:
    """String (JSON) with a TTL of 15 s: a live worker's heartbeat; see `study.fleet`."""
    return f"{PREFIX}:worker:{name}"


def workers() -> str:
    """Set with a TTL of a day: names of workers that may be alive."""
    return f"{PREFIX}:workers"


def rate(endpoint: str, model: str, what: str) -> str:
    """String or Hash with a TTL: a model's limit (`requests`, `tokens`, `again`, `pause`, `learned`)."""
    return f"{PREFIX}:rate:{{{endpoint}/{model}}}:{what}"


PERMANENT: Final = (
    account("*"),
    reservations("*"),
    journal("*"),
    brought_forward("*"),
    studies(),
    study("*"),
    examples("*"),
    trials("*"),
    paid_calls("*", "*", "*"),
    prompt_tokens("*"),
    attempts("*"),
    results_recorded("*"),
    results("*"),
    sent("*"),
    eval_func_errors("*"),
)
"""The keys without a TTL, as patterns; any other key that lives for ever is a leak."""


def is_permanent(key: str) -> bool:
    """Whether a key may be without a TTL."""
    return any(fnmatchcase(key, pattern) for pattern in PERMANENT)
