"""From the user's source and recorded operands to a formula.

    extraction = extract(function, failing, recorded)
    extraction.root      # the formula, from its leaves to what the function returns
    extraction.arrays()  # the recorded array of each leaf

The syntax tree of the function is interpreted: Python values are computed, tensors become nodes.
"""

from stayfinite.repair.extraction.extract import (
    Extraction,
    ExtractionError,
    extract,
    extractions,
)
from stayfinite.repair.extraction.recorded import (
    NothingRecorded,
    Recorded,
    RecordedArray,
    RecordedCall,
)
from stayfinite.repair.extraction.recorded_graph import GraphRecorded
from stayfinite.repair.extraction.values import Frame, Moment, Pending, SourceOrigin, Tensor

__all__ = [
    "Extraction",
    "ExtractionError",
    "Frame",
    "GraphRecorded",
    "Moment",
    "NothingRecorded",
    "Pending",
    "Recorded",
    "RecordedArray",
    "RecordedCall",
    "SourceOrigin",
    "Tensor",
    "extract",
    "extractions",
]
