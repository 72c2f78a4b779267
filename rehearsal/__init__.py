"""STANDS IN: an OpenAI-compatible endpoint that answers from recorded or synthetic completions."""

from rehearsal.books import Books, CallRecord, Price, Tally
from rehearsal.endpoint import Latency
from rehearsal.faults import FAULT_KINDS, Fault
from rehearsal.problems import Asked, Problem, Problems
from rehearsal.recorded import Recorded
from rehearsal.server import RehearsalServer
from rehearsal.surface import ModelTraits, Surface, pass_at_n
from rehearsal.synthetic import Synthetic

__all__ = [
    "FAULT_KINDS",
    "Asked",
    "Books",
    "CallRecord",
    "Fault",
    "Latency",
    "ModelTraits",
    "Price",
    "Problem",
    "Problems",
    "Recorded",
    "RehearsalServer",
    "Surface",
    "Synthetic",
    "Tally",
    "pass_at_n",
]
