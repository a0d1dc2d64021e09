from benchmarks.keras_outcomes import Outcome, compare


def by_test(*outcomes):
    return {outcome.test: outcome for outcome in outcomes}


def test_same_outcomes_do_not_differ():
    bare = by_test(Outcome("a", "passed"), Outcome("b", "skipped"), Outcome("c", "failed", "no"))
    guarded = by_test(
        Outcome("a", "passed", num_guarded_steps=4),
        Outcome("b", "skipped"),
        Outcome("c", "failed", "no"),
    )
    found = compare(bare, guarded)
    assert not found.differences
    assert (found.num_passed_in_both, found.num_skipped_in_both, found.num_failed_in_both) == (
        1,
        1,
        1,
    )
    assert found.failed_in_both == {"no": ["c"]}
    assert (found.num_tests_with_guarded_steps, found.num_guarded_steps) == (1, 4)


def test_a_failure_under_guard_differs():
    found = compare(by_test(Outcome("a", "passed")), by_test(Outcome("a", "failed", "broken")))
    assert [d.test for d in found.unexplained] == ["a"]


def test_a_test_that_ran_on_one_side_only_differs():
    found = compare(by_test(Outcome("a", "passed")), {})
    assert found.unexplained[0].guarded == "not run"


def test_a_stop_at_a_non_finite_step_is_told_apart_from_other_failures():
    message = "stayfinite.errors.NonFiniteError: step 0 is not finite"
    stopped = Outcome("a", "failed", message, stops=("log of zero",))
    other = Outcome("b", "failed", "AssertionError", stops=("log of zero",))
    found = compare(
        by_test(Outcome("a", "passed"), Outcome("b", "passed")), by_test(stopped, other)
    )
    assert [d.test for d in found.differences] == ["a", "b"]
    assert [d.test for d in found.unexplained] == ["b"]


def test_other_reasons_of_the_same_failure_are_both_told():
    found = compare(by_test(Outcome("a", "failed", "x")), by_test(Outcome("a", "failed", "y")))
    assert found.failed_in_both == {"x (under guard: y)": ["a"]}
