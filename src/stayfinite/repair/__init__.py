"""Source repairs: from the expression that failed to a patch that the program can be run with.

    source = SourceFile.read("train.py")
    expression = find_expression(source, TextSpan(14, 15, 14, 78))
    for edit in candidates(expression, "singular-gradient", Facts("float32", 0.0, 4.2)):
        patch = Patch.start(source).then(edit)
        print(patch.diff("train.py"))
        with swapped(patch):
            ...  # run the failing step again, and a healthy one

This room imports no framework: functions of a library are looked up in the loaded modules.
"""

from stayfinite.repair.activations import Removal, activation_of, applied_at, called_at
from stayfinite.repair.candidates import candidates
from stayfinite.repair.edit import Edit, TemplateEdit
from stayfinite.repair.edit_facts import (
    BoundAdded,
    BoundedPart,
    ComputedInFloat32,
    EditFact,
    FormWritten,
    NewForm,
    TemplateFact,
    WidePart,
)
from stayfinite.repair.errors import (
    ExpressionNotFoundError,
    NotSwappableError,
    RepairError,
    StaleSourceError,
)
from stayfinite.repair.expression import Expression, expression_at, find_expression
from stayfinite.repair.group_settings import lines_that_set
from stayfinite.repair.lasting_patch import filenames, put_in_place
from stayfinite.repair.live import KnownFunctions
from stayfinite.repair.logits import moved
from stayfinite.repair.object_edits import proposals
from stayfinite.repair.objects import Remade, remade
from stayfinite.repair.other_readers import is_called_and_trained, reads_elsewhere
from stayfinite.repair.patch import Patch
from stayfinite.repair.rewrites import MECHANISMS, ONE_FOR_ZERO, SHIFT, Facts
from stayfinite.repair.source import SourceFile, TextSpan
from stayfinite.repair.swap import swapped
from stayfinite.repair.unfollowed import UnfollowedUse, unfollowed_calls, unfollowed_object

__all__ = [
    "MECHANISMS",
    "ONE_FOR_ZERO",
    "SHIFT",
    "BoundAdded",
    "BoundedPart",
    "ComputedInFloat32",
    "Edit",
    "EditFact",
    "Expression",
    "ExpressionNotFoundError",
    "Facts",
    "FormWritten",
    "KnownFunctions",
    "NewForm",
    "NotSwappableError",
    "Patch",
    "Remade",
    "Removal",
    "RepairError",
    "SourceFile",
    "StaleSourceError",
    "TemplateEdit",
    "TemplateFact",
    "TextSpan",
    "UnfollowedUse",
    "WidePart",
    "activation_of",
    "applied_at",
    "called_at",
    "candidates",
    "expression_at",
    "filenames",
    "find_expression",
    "is_called_and_trained",
    "lines_that_set",
    "moved",
    "proposals",
    "put_in_place",
    "reads_elsewhere",
    "remade",
    "swapped",
    "unfollowed_calls",
    "unfollowed_object",
]
