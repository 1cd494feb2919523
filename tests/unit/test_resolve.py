"""What settings mean on a machine: properties that hold on machines made up for it, from a laptop to eight GPUs."""

from copy import deepcopy
from dataclasses import FrozenInstanceError, replace
from functools import cache

import pytest
from hydra import compose, initialize_config_dir
from support import RECIPES, chosen

from harness import config
from harness.base import environments
from harness.base.errors import UserError
from harness.config import resolve
from harness.machine.host import Machine

OLD, NEW = (7, 5), (9, 0)  # compute capabilities: with 8.0 came TF32 and bf16
MACHINES = {
    "one core": Machine(1),
    "a laptop": Machine(4),
    "a server with bf16": Machine(64, bf16=True),
    "a new GPU": Machine(8, capabilities={"0": NEW}),
    "an old GPU beside cores with bf16": Machine(8, bf16=True, capabilities={"0": OLD}),
    "a new GPU and an old one": Machine(16, capabilities={"0": NEW, "1": OLD}),
    "an old GPU and a new one": Machine(16, bf16=True, capabilities={"0": OLD, "1": NEW}),
    "the others' GPUs left out": Machine(12, capabilities={"3": NEW, "GPU-1": NEW}),
    "the first GPU that does": Machine(8, capabilities={"0": (8, 0)}),
    "eight GPUs": Machine(96, bf16=True, capabilities={str(number): NEW for number in range(8)}),
}
WITH_GPUS = [name for name, machine in MACHINES.items() if machine.gpus]
EACH = pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
EACH_WITH_GPUS = pytest.mark.parametrize("machine", [MACHINES[name] for name in WITH_GPUS], ids=WITH_GPUS)
NODE = ["placement=multi_node", "placement.main_process_ip=127.0.0.1"]


@cache
def asked(*words):
    """Return the settings that words of the command line make; they are frozen, so that tests may share them."""
    with initialize_config_dir(str(config.CONF), version_base="1.3"):
        return config.checked(compose("config", list(words)))


def refused(machine, *words):
    """Return what is said of settings that a machine, or the recipe, cannot."""
    with pytest.raises(UserError) as error:
        resolve(asked(*words), machine)
    assert error.value.code == 2
    return error.value.message


@EACH
def test_threads_are_all_processors_there_are_or_as_many_as_asked_for_on_whatever_machine(machine):
    assert resolve(asked(), machine).threads == machine.processors
    assert resolve(asked("threads=3"), machine).threads == 3
    several = resolve(asked("recipe=torch", "placement=multi_cpu", "placement.processes=3"), machine)
    assert several.threads == machine.processors, "of all processes together"


@EACH
@pytest.mark.parametrize("recipe", RECIPES)
def test_auto_is_another_name_for_what_it_takes(machine, recipe):
    found = resolve(asked(*chosen(recipe)), machine)
    named = asked(*chosen(recipe), f"placement={found.placed.name}", f"precision={found.precision}")
    assert resolve(named, machine) == found


@EACH
def test_auto_takes_one_gpu_where_the_machine_has_one_and_the_recipe_can_and_the_processors_else(machine):
    placed = resolve(asked("recipe=torch"), machine).placed
    assert placed.devices == machine.gpus[:1]
    assert (placed.name, placed.processes) == ("gpu" if machine.gpus else "cpu", 1)
    assert resolve(asked("recipe=tfidf"), machine).placed.name == "cpu"


@EACH
@pytest.mark.parametrize("place", ["cpu", "gpu", "multi_cpu", "multi_gpu"])
def test_auto_computes_in_bf16_where_all_that_the_run_is_on_does_and_tells_accelerate(machine, place):
    if "gpu" in place and not machine.gpus:
        assert "no GPU here" in refused(machine, "recipe=torch", f"placement={place}")
        return
    found = resolve(asked("recipe=torch", f"placement={place}"), machine)
    able = {name: capability >= (8, 0) for name, capability in machine.capabilities.items()}
    on = [able[name] for name in found.placed.devices] if "gpu" in place else [machine.bf16]
    assert found.precision == ("bf16" if all(on) else "fp32")
    assert found.placed.accelerate["mixed_precision"] == ("bf16" if found.precision == "bf16" else "no")


@EACH
def test_what_the_run_is_not_on_changes_nothing_but_the_threads(machine):
    on_processors = asked("recipe=torch", "placement=cpu")
    bare = Machine(machine.processors, machine.bf16)
    assert resolve(on_processors, machine) == resolve(on_processors, bare)
    if machine.gpus:
        on_gpu, other = asked("recipe=torch", "placement=gpu"), Machine(5, not machine.bf16, machine.capabilities)
        assert resolve(on_gpu, other) == replace(resolve(on_gpu, machine), threads=5)


@EACH
def test_controlled_is_fp32_whatever_the_machine_could(machine):
    found = resolve(asked("recipe=torch", "protocol=controlled", "placement=cpu"), machine)
    assert (found.precision, found.placed.accelerate["mixed_precision"]) == ("fp32", "no")
    for precision in ("bf16", "tf32"):
        said = refused(machine, "recipe=torch", "protocol=controlled", "placement=cpu", f"precision={precision}")
        assert "leave precision= out" in said and "protocol=native" in said
    assert "recipe=tfidf has no encoder" in refused(machine, "recipe=tfidf", "protocol=controlled")


@EACH
def test_bf16_is_taken_where_it_is_asked_for_though_slow_and_tf32_where_it_is_more_than_a_name(machine):
    assert resolve(asked("recipe=torch", "precision=bf16"), machine).precision == "bf16"
    words = ["recipe=torch", "precision=tf32"]
    assert "placement=cpu is on processors" in refused(machine, *words, "placement=cpu")
    if machine.gpus and resolve(asked("recipe=torch", "placement=gpu"), machine).precision == "bf16":
        assert resolve(asked(*words), machine).precision == "tf32"
    elif machine.gpus:
        assert "these GPUs are older.\nTake precision=fp32, or bf16." in refused(machine, *words)


@EACH_WITH_GPUS
def test_several_gpus_are_all_or_the_first_so_many_and_never_more_than_there_are(machine):
    words, there = ["recipe=torch", "placement=multi_gpu"], len(machine.gpus)
    everything = resolve(asked(*words), machine).placed
    assert (everything.devices, everything.processes) == (machine.gpus, there)
    assert everything.launched == (there > 1)
    for number in range(1, there + 1):
        placed = resolve(asked(*words, f"placement.processes={number}"), machine).placed
        assert (placed.devices, placed.processes) == (machine.gpus[:number], number)
    said = refused(machine, *words, f"placement.processes={there + 1}")
    assert said == f"placement.processes={there + 1}: GPUs on this machine: {there}."


@EACH
def test_ranks_of_several_machines_have_their_own_gpus_and_are_one_training(machine):
    words = ["recipe=torch", *NODE, "placement.num_machines=3", "placement.processes=6"]
    if len(machine.gpus) < 2:
        assert "GPU" in refused(machine, *words)
        words.append("placement.use_cpu=true")
    ranks = [resolve(asked(*words, f"placement.machine_rank={rank}"), machine) for rank in range(3)]
    assert [one.placed.first for one in ranks] == [True, False, False]
    assert {one.placed.local_processes for one in ranks} == {2} and {one.placed.processes for one in ranks} == {6}
    assert {one.placed.devices for one in ranks} == {machine.gpus[:2] if len(machine.gpus) > 1 else ()}
    assert len({one.precision for one in ranks}) == len({one.threads for one in ranks}) == 1
    assert "3 machines are counted from 0" in refused(machine, *words, "placement.machine_rank=3")
    assert "not a multiple" in refused(machine, *words, "placement.processes=7")


@EACH
def test_the_environment_is_told_from_another_by_no_machine(machine):
    assert resolve(asked("recipe=torch"), machine).environment == resolve(asked("recipe=torch"), Machine(1)).environment
    other = resolve(asked("recipe=torch", "env=/no/such/python"), machine).environment
    assert other == "/no/such/python", "another machine may have it"


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_on_a_gpu_in_what_its_list_for_gpus_pins_and_on_processors_in_the_other(recipe):
    machine, name = MACHINES["eight GPUs"], asked(*chosen(recipe)).recipe.environment
    here = resolve(asked(*chosen(recipe), "placement=cpu"), machine)
    there = resolve(asked(*chosen(recipe)), machine)
    own = f"{name}_cuda" if there.placed.gpu and (environments.LISTS / f"{name}_cuda.txt").exists() else name
    assert (here.managed, there.managed) == (name, own)
    assert [one.environment.rpartition("-")[0] for one in (here, there)] == [name, own]
    assert resolve(asked(*chosen(recipe), "env=/no/such/python"), machine).environment == "/no/such/python"


@pytest.mark.parametrize("name", [name for name in environments.names() if name.endswith(environments.ON_GPU)])
def test_a_list_for_gpus_has_the_versions_of_that_for_processors_and_cuda_s_libraries(name):
    for_gpus, for_processors = (
        {line.partition(" ")[0].replace("tensorflow-cpu", "tensorflow") for line in pins.read_text("utf-8").split("\n")}
        for pins in (environments.LISTS / f"{one}.txt" for one in (name, name.removesuffix(environments.ON_GPU)))
    )
    assert for_processors <= for_gpus
    assert any(line.startswith("nvidia-cublas") for line in for_gpus - for_processors)


def test_auto_takes_no_bf16_on_processors_of_a_framework_that_is_slower_in_it():
    processors = Machine(8, bf16=True)
    assert resolve(asked("recipe=torch"), processors).precision == "bf16"
    assert resolve(asked("recipe=jax"), processors).precision == "fp32"
    assert resolve(asked("recipe=jax", "precision=bf16"), processors).precision == "bf16"
    gpus = MACHINES["eight GPUs"]
    assert resolve(asked("recipe=jax", "env=/no/such/python"), gpus).precision == "bf16"


@EACH
def test_a_recipe_without_bf16_is_fp32_by_itself_and_says_why_where_bf16_is_asked_for(machine):
    plain = asked("recipe=torch")
    recipe = replace(plain.recipe, no_bf16="its attention is of one type")
    assert resolve(replace(plain, recipe=recipe), machine).precision == "fp32"
    with pytest.raises(UserError) as error:
        resolve(replace(asked("recipe=torch", "precision=bf16"), recipe=recipe), machine)
    assert error.value.code == 2
    assert all(part in error.value.message for part in ("its attention is of one type", "precision=fp32"))


@EACH
def test_settings_and_machines_stay_as_they_are(machine):
    settings = asked("recipe=torch", *NODE, "placement.use_cpu=true")
    before = deepcopy(config.plain(settings))
    assert resolve(settings, machine) == resolve(settings, machine)
    assert config.plain(settings) == before
    with pytest.raises(FrozenInstanceError):
        machine.processors = 0
