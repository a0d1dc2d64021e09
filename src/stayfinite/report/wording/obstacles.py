"""Why a step cannot be made again or changed, in one clause."""

from __future__ import annotations

from stayfinite.frameworks.obstacles import Obstacle, WhyNot

_CLAUSES = {
    Obstacle.NO_LOOP: "no loop is around the update",
    Obstacle.NO_LOOP_WITH_SOURCE: "no loop of a file with source is around the update",
    Obstacle.NO_LOOP_NOR_FUNCTION: "the update is in no loop and in no function",
    Obstacle.NO_CODE_OF_PROGRAM: "no code of the program makes it",
    Obstacle.NO_SOURCE: "the source of {name} is not there",
    Obstacle.FUNCTION_NOT_FOUND: "the function {name}() is not found",
    Obstacle.FUNCTION_TAKES_ANY: "the function {name}() takes any number of arguments, or yields",
    Obstacle.ARGUMENT_DELETED: "the function {of}() has deleted its argument {name}",
    Obstacle.BARE_SUPER: "the body of the loop calls super() without arguments",
    Obstacle.GRADIENTS_FROM_OUTSIDE: (
        "the gradients come from outside of `{name}`, which is guarded alone; guard the function "
        "that computes loss, gradients and update, for the cause and the samples"
    ),
    Obstacle.NOT_COMPILED: "its step is not compiled",
    Obstacle.DISTRIBUTED: "it is distributed by a tf.distribute strategy",
    Obstacle.NO_EARLIER_UPDATE: "no update came before this one, so its beginning is not known",
    Obstacle.TOO_MANY_BATCHES: "the step has more than {number:.0f} batches",
    Obstacle.LOOP_WRITES_BATCH: "the loop writes into its batch",
    Obstacle.TRAINER_WRITES_BATCH: "the trainer writes into its batch",
    Obstacle.ARGUMENT_DRAWS_BATCH: "its argument {name} draws the batch by itself",
    Obstacle.VALUES_FROM_PROCESSES: "the step takes values from other processes",
    Obstacle.GRADIENTS_OVER_PROCESSES: "its gradients are a mean over several processes",
    Obstacle.SHARDED_WEIGHTS: "its weights are sharded over several processes",
    Obstacle.SHARDED_STEP: (
        "its weights are sharded over several processes, and one process alone has not all of "
        "them; look at the batch that each process has kept"
    ),
    Obstacle.SEVERAL_EVALUATIONS: "the optimizer LBFGS makes several evaluations in one step",
    Obstacle.SEVERAL_OPTIMIZERS: "the loop has several optimizers, and one of them is known",
    Obstacle.BODY_WITHOUT_UPDATE: "the body of the loop ended without an update",
    Obstacle.CALLS_WITHOUT_UPDATE: "{name} ended without an update",
    Obstacle.NO_UPDATE_AGAIN: "the step made no update when it was made again",
    Obstacle.NON_FINITE_AGAIN: "the step was non-finite when it was made again",
    Obstacle.MORE_BATCHES_AGAIN: "the step draws more batches than before",
    Obstacle.MORE_ITEMS_AGAIN: "the step takes more items as `{name}` than were noted",
    Obstacle.TIME_LIMIT: "the limit of {number:.0f} s for running the step again is reached",
    Obstacle.LONG_RUN: "a run takes {number:.0f} s",
    Obstacle.NO_OPTIMIZER: "the step has no Keras optimizer",
    Obstacle.UPDATES_INSIDE: (
        "the step makes its updates in a loop inside; optax.inject_hyperparams makes the rate a "
        "value of the state"
    ),
    Obstacle.CONSTANT_RATE: "the learning rate is a constant of the step",
    Obstacle.COMPILED_SETTINGS: "the settings of the optimizer are part of the compiled update",
}


def clause(why: WhyNot | str) -> str:
    """The words for an obstacle; the message of an error as it is."""
    if isinstance(why, str):
        return why
    return _CLAUSES[why.obstacle].format(name=why.name, of=why.of, number=why.number)
