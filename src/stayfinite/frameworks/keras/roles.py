"""What each variable of the state of a Keras model is: weight, statistic, slot or metric."""

from __future__ import annotations

from stayfinite.frameworks.keras import private as keras_private
from stayfinite.frameworks.subject import Subject, state_variables
from stayfinite.graph.graph import Role


def roles(subject: Subject) -> list[list[Role]]:
    """The role of each variable of `state_variables(subject)`.

    A frozen weight is non-trainable, but not a moving statistic.
    """
    trainable, others, of_optimizers, of_metrics = state_variables(subject)
    frozen = {
        id(variable)
        for layer in subject.layers()
        for variable in keras_private.variables_of_layer(layer, trained=True)
    }
    return [
        ["weight"] * len(trainable),
        ["weight" if id(variable) in frozen else "statistics" for variable in others],
        ["optimizer"] * len(of_optimizers),
        ["metric"] * len(of_metrics),
    ]


def own_statistics(subject: Subject) -> list[int]:
    """Positions in the non-trainable state of the statistics that no layer of Keras keeps."""
    of_keras = variables_of_keras(subject)
    group = subject.non_trainable_variables
    return [
        position
        for position, (variable, role) in enumerate(zip(group, roles(subject)[1], strict=True))
        if role == "statistics" and id(variable) not in of_keras
    ]


def may_keep_infinity(subject: Subject) -> list[int]:
    """Positions, among trainable and then other variables, of those that no layer of Keras has.

    Such a variable may hold an infinity on purpose: the bound of a clip, a minimum so far. A kernel
    or a moving mean of Keras may not.
    """
    of_keras = variables_of_keras(subject)
    variables = [*subject.trainable_variables, *subject.non_trainable_variables]
    return [number for number, variable in enumerate(variables) if id(variable) not in of_keras]


def variables_of_keras(subject: Subject) -> set[int]:
    """The identities of the variables of layers of Keras, which are never infinite on purpose."""
    return {
        id(variable)
        for layer in subject.layers()
        if type(layer).__module__.partition(".")[0] == "keras"
        for trained in (True, False)
        for variable in keras_private.variables_of_layer(layer, trained=trained)
    }
