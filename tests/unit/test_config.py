"""Words of the command line as people type them, and precision as the machine has it."""

import subprocess

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from support import devices

from harness import config
from harness.base.home import ROOT
from harness.machine import host


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("data.label=catégorie", "catégorie"),
        ("data.train=/Téléchargements/offres (1).csv", "/Téléchargements/offres (1).csv"),
        ("data.text=[intitulé du poste,l'offre]", ["intitulé du poste", "l'offre"]),
        ("data.text=[title,description]", ["title", "description"]),
        ("seed=3", 3),
        ("data.id='owner/name'", "owner/name"),
    ],
)
def test_a_value_is_read_as_it_was_typed(word, value):
    read = OverridesParser.create().parse_override(config.quoted(word, sweep=False)).value()
    assert read == value


def test_commas_part_the_runs_of_a_sweep():
    word = config.quoted("data.label=catégorie,métier", sweep=True)
    assert OverridesParser.create().parse_override(word).is_sweep_override()


@pytest.mark.parametrize("word", ["--help", "-m", "+a=é", "not a pair"])
def test_other_words_stay(word):
    assert config.quoted(word, sweep=False) in (word, "+a='é'")


@pytest.mark.parametrize(
    ("words", "drawn_by"),
    [(["model=small"], 3), (["model.from_scratch=seed"], 3), (["model.from_scratch=7"], 7), (["model=minilm"], None)],
)
def test_weights_from_scratch_are_drawn_by_the_run_s_seed_or_by_one_that_is_given(words, drawn_by):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        values = config.checked(compose("config", [*words, "seed=3"]))
    assert values.model.from_scratch == drawn_by


@pytest.mark.parametrize(("capabilities", "native"), [([(9, 0)], True), ([(7, 5)], False), ([(9, 0), (7, 0)], False)])
def test_a_gpu_decides_on_bf16_where_there_is_one(monkeypatch, capabilities, native):
    devices(monkeypatch, *capabilities)
    machine = host.Machine.here()
    assert machine.computes_bf16(machine.gpus) is native
    assert machine.computes_bf16(["0"]) is (capabilities[0] >= (8, 0)), "of the run's own alone"


@pytest.mark.parametrize(("flags", "native"), [("fma avx512_bf16", True), ("fma avx2", False), ("", False)])
def test_the_processor_decides_on_bf16_else(monkeypatch, flags, native):
    devices(monkeypatch)
    monkeypatch.setattr(host, "_cpuinfo", lambda field: flags if field == "flags" else "")
    assert host.Machine.here().computes_bf16([]) is native


def test_the_processor_is_named_as_the_system_names_it():
    said = subprocess.run(["grep", "-m1", "model name", "/proc/cpuinfo"], capture_output=True, text=True, check=False)
    if said.stdout:
        assert said.stdout.split(":")[1].strip() in host.describe()
