"""Energy is a reading of meters, or nothing."""

import pytest
from gpu_support import cards

from harness.machine import energy


@pytest.fixture
def zones(tmp_path, monkeypatch):
    """Two packages with the memory of one and its cores, which are in the package, as Linux shows them."""
    names = {"0": "package-0", "1": "package-1", "0:0": "core", "0:1": "dram"}
    for number, name in names.items():
        folder = tmp_path / f"intel-rapl:{number}"
        folder.mkdir()
        (folder / "name").write_text(f"{name}\n")
        (folder / "max_energy_range_uj").write_text("262143000000\n")
    monkeypatch.setattr(energy, "RAPL", tmp_path)

    def count(**joules):
        for number, value in joules.items():
            (tmp_path / f"intel-rapl:{number[1:].replace('_', ':')}" / "energy_uj").write_text(f"{value * 10**6}\n")

    count(_0=100, _1=262_000, _0_0=50, _0_1=7)
    return count


def test_packages_and_memory_are_added_up_also_when_a_counter_begins_again(zones):
    used = energy.Energy()
    zones(_0=1100, _1=857, _0_0=950, _0_1=107)  # 1000 J; 143 to its end, and 857 after; 100
    used.look()
    zones(_0=1200, _1=957, _0_0=1050, _0_1=117)  # 100, 100, 10
    assert used.kwh() == pytest.approx((1000 + 1000 + 100 + 210) / 3.6e6, abs=1e-8)


def test_without_a_meter_that_can_be_read_nothing_is_known(zones, tmp_path, monkeypatch):
    (tmp_path / "intel-rapl:1" / "energy_uj").unlink()
    assert energy.Energy().kwh() is None
    zones(_1=1)
    assert energy.Energy().kwh() == 0.0
    used = energy.Energy()
    (tmp_path / "intel-rapl:1" / "energy_uj").unlink()
    assert used.kwh() is None, "half a reading is none"
    monkeypatch.setattr(energy, "RAPL", tmp_path / "none")
    assert energy.Energy().kwh() is None


def test_a_run_on_gpus_needs_their_meters_too(zones, monkeypatch):
    cards(monkeypatch)
    assert energy.Energy(["0"]).kwh() is None
    cards(monkeypatch, {"millijoules": 5}, {"instances": [{"uuid": "MIG-a"}, {"uuid": "MIG-b"}], "millijoules": 5})
    assert energy.Energy(["0"]).kwh() == 0.0
    for part in ("1", "MIG-a"):  # the card's meter counts the other instances too
        assert energy.Energy([part]).kwh() is None


def test_the_joules_of_the_run_s_gpus_are_added_and_of_no_others_and_one_without_a_meter_leaves_nothing(
    zones, monkeypatch
):
    nvml = cards(monkeypatch, *({"millijoules": 5_000} for _ in range(3)))
    used = energy.Energy(["2", "0"])
    nvml.cards[0]["millijoules"] = nvml.cards[2]["millijoules"] = 3_605_000
    nvml.cards[1]["millijoules"] = 90_000_000_000
    assert used.kwh() == pytest.approx(2 * 3600 / 3.6e6)
    del nvml.cards[0]["millijoules"]
    assert used.kwh() is None
    assert energy.Energy(["0", "2"]).kwh() is None
