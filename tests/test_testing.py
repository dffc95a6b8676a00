"""The conformance suite bites: each broken optimizer fails the tests of what is broken, in words, and no others."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

BROKEN = Path(__file__).with_name("broken_optimizers.py")
NUMBERS = {
    "test_agrees_with_the_oracle", "test_size", "test_groups_have_their_own_numbers",
    "test_numbers_are_read_at_each_step", "test_missing_gradients_count_by_parameter",
    "test_late_group", "test_lr_changes", "test_weight_decay",
}  # fmt: skip
# Each class of the file, the tests that must fail, and words that must stand in the messages.
QUICK: dict[str, tuple[set[str], str]] = {
    "Healthy": (set(), ""),
    "WritesGradients": ({"test_gradient_is_untouched"}, "the step has written to .grad"),
    "TakesNoneForZero": (
        {"test_no_gradient_no_trace", "test_missing_gradients_count_by_parameter", "test_autograd_is_told"},
        "a step without any gradient has created states",
    ),
    "CopiesShallowly": ({"test_deepcopy_continues"}, "shares weights with the original: a step there moved them"),
    "WalksFlatMemory": (
        {"test_layout", "test_state_follows_the_layout", "test_half_precision"},
        "weights that are transposed, gradients that are contiguous",
    ),
    "KernelDisagrees": (NUMBERS, "the weights are not what the formula says: off by"),
}  # fmt: skip
THOROUGH: dict[str, tuple[set[str], str]] = {
    "SavesWords": (
        {"test_checkpoint_continues", "test_types_survive_loading", "test_states_are_found_by_name"}, "weights_only"
    ),
    "KeepsItsFirstRate": (
        {"test_lr_changes", "test_numbers_are_read_at_each_step", "test_schedule"},
        "with lr set between steps the weights are not",
    ),
    "ForgetsItsOptions": (
        {"test_deepcopy_continues", "test_pickle_continues"}, "the copy has clip_norm=None instead of 0.5"
    ),
    "LoadsByPosition": ({"test_states_are_found_by_name"}, "with its named parameters in another order"),
    "LoadsInTheWeightsType": ({"test_types_survive_loading"}, "of torch.bfloat16 instead of a tensor"),
    "ClosureWithoutGradients": ({"test_closure"}, "the closure was called with gradients off"),
    "HearsNoHooks": ({"test_hooks_are_called"}, "instead of before and after were called []"),
    "CreatesStateTooEarly": (
        {"test_nonfinite_raise", "test_nonfinite_skip"}, "a step refused because of nan in a gradient has changed the"
    ),
    "IgnoresOverflow": ({"test_overflow_under_a_scaler"}, "a step whose gradients overflowed under the scaler has"),
    "LosesTheWeights": ({"test_averaged"}, "left by an exception, the weights are not those that were trained"),
    "NeverClears": ({"test_clear"}, "clear=True has not set the gradients to 0"),
    "DependsOnThreads": (
        {"test_threads_change_no_bit", "test_cut_changes_no_bit"}, "with 2 threads the weights are not those of one"
    ),
    "DecaysWithoutLr": ({"test_state_is_created_without_moving"}, "zero gradients and lr = 0 move the weights"),
    "SearchesTooFar": ({"test_search_stays_within_what_is_allowed"}, "which its search (log-uniform 0.1 to 2) may"),
    "Wordless": ({"test_is_documented"}, "Wordless has no docstring"),
    "HalfAFormula": ({"test_every_form_is_a_formula"}, "'peaked': True, 'steep': True, 'kept': False} the"),
    "FallbackDisagrees": (
        {"test_fallback_is_the_kernel", "test_layout", "test_half_precision"},
        "torch's operations and the kernel disagree",
    ),
    "ForgetsItsAverage": (
        {"test_state_dict_continues", "test_checkpoint_continues", "test_loading_its_own_state_changes_nothing",
         "test_types_survive_loading", "test_state_follows_the_layout"},
        "goes on otherwise: after three more steps",
    ),
    "CountsTogether": (
        {"test_no_gradient_no_trace", "test_missing_gradients_count_by_parameter", "test_late_group"},
        "parameters that had 5 gradients each have counted",
    ),
    "IgnoresMaximize": ({"test_maximize"}, "maximize=True is not a descent along the opposite gradients"),
    # Without kernels small tensors are updated many at once, large ones by themselves, and round otherwise.
    "FallsBack": (
        {"test_kernel_serves_it", "test_cut_changes_no_bit"},
        "no kernel serves torch.float64 parameters: it is a Tuesday",
    ),
}  # fmt: skip


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """pytest as a user has it, without this project's settings, warnings as errors."""
    plain = ["-c", os.devnull, "--rootdir", str(folder), "--noconftest", "-p", "no:cacheprovider", "-W", "error"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--tb=short", *plain, *arguments],
        capture_output=True, text=True, check=False, cwd=folder, timeout=600, env={**os.environ},
    )  # fmt: skip


def failing(names: list[str], folder: Path) -> dict[str, dict[str, str]]:
    """For each class its failing tests, without their parameters, and what they say."""
    report = folder / "report.xml"
    done = run([*(f"{BROKEN}::Test{name}" for name in names), f"--junitxml={report}"], folder)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found: dict[str, dict[str, str]] = {name: {} for name in names}
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.attrib["classname"].rpartition(".Test")[2]
        test = case.attrib["name"].partition("[")[0]
        for problem in (*case.iter("failure"), *case.iter("error")):
            found[name][test] = found[name].get(test, "") + problem.attrib["message"]
    return found


def judge(expected: dict[str, tuple[set[str], str]], folder: Path) -> None:
    found = failing([*expected], folder)
    assert {name: {*tests} for name, tests in found.items()} == {name: tests for name, (tests, _) in expected.items()}
    for name, (_, words) in expected.items():
        assert words in "\n".join(found[name].values()), name


@pytest.mark.slow
def test_what_is_broken_is_named(tmp_path: Path) -> None:
    judge(QUICK, tmp_path)


@pytest.mark.slow
def test_all_that_is_broken_is_named(tmp_path: Path) -> None:
    judge(THOROUGH, tmp_path)


def test_every_broken_optimizer_is_run() -> None:
    classes = [line.split("(")[0].removeprefix("class Test") for line in BROKEN.read_text().splitlines()
               if line.startswith("class Test")]  # fmt: skip
    assert {*classes} == {*QUICK, *THOROUGH}


# What a class says, and what pytest then says.
MISTAKES = {
    "pass": "TestMine.optimizer must be an optimizer class made from a rule, or a rule; it is None",
    "optimizer = torch.optim.SGD": "TestMine.optimizer must be",
    "optimizer = thalweg.SGD; settings = []": "TestMine.settings is empty",
    "optimizer = thalweg.SGD; settings = [{'clip_norm': 1.0}]": "settings: leave out 'clip_norm'",
    "optimizer = thalweg.SGD; settings = [{'lr': -1.0}]": "SGD: lr must be at least 0",
}


def test_mistakes_are_named(tmp_path: Path) -> None:
    for number, body in enumerate(MISTAKES):
        lines = ["import torch, thalweg", "from thalweg.testing import Conformance", "class TestMine(Conformance):"]
        (tmp_path / f"test_mine{number}.py").write_text("\n".join([*lines, f"    {body}"]))
    done = run(["-k", "test_maximize", "--continue-on-collection-errors"], tmp_path)
    for body, message in MISTAKES.items():
        assert message in done.stdout, body


def test_without_pytest(tmp_path: Path) -> None:
    """What `pip install thalweg` brings does not include it."""
    script = "import sys; sys.modules['pytest'] = None; import thalweg.testing"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stderr.strip().endswith("ModuleNotFoundError: thalweg.testing runs under pytest: pip install pytest")
