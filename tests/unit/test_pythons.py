"""Another Python for an environment: found, not found; and the one that has a wheel, if it has the same builds."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from environments_support import write_lists

from harness.base import environments, pythons, uv, wheels
from harness.base.errors import UserError

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(scope="module")
def other() -> str:
    """The version of another Python that is on this machine."""
    for version in ("3.10", "3.12", "3.13", "3.14", "3.11"):
        if version != HERE and pythons.found(version):
            return version
    pytest.skip("there is no other Python on this machine")


@pytest.fixture
def lists(tmp_path, monkeypatch):
    """Make lists, given what is written in each NAME.in; each pins six."""

    def make(**asked: str) -> Path:
        return write_lists(tmp_path, monkeypatch, {name: (text, "six==1.17.0") for name, text in asked.items()})

    return make


def test_an_environment_has_the_python_that_its_list_asks_for(lists, other):
    lists(here="six", there=f"# python: {other}\nsix")
    here, there = environments.ensure("here"), environments.ensure("there")
    code = "import six, sys; print('%d.%d' % sys.version_info[:2], six.__cached__)"
    said = subprocess.run([there.python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert said[0] == other
    assert Path(said[1]).name == f"six.cpython-{other.replace('.', '')}.pyc" and Path(said[1]).exists()
    assert pythons.is_of(environments.record(environments.folder_of("there"))["python"], other)
    assert there == environments.ensure("there")
    assert here.packages == there.packages and here.python != there.python


def test_the_python_is_part_of_what_an_environment_is(lists):
    lists(one="# python: 3.10\nsix", other="# python: 3.99\nsix", none="six")
    assert len({environments.identity(name, "managed").partition("-")[2] for name in ("one", "other", "none")}) == 3


def test_a_python_that_is_nowhere_is_told_with_what_to_install(lists, monkeypatch, tmp_path):
    lists(future="# python: 3.99\nsix")
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    with pytest.raises(UserError) as error:
        environments.ensure("future")
    first, second, log = str(error.value).splitlines()
    assert (
        first == "the environment future needs Python 3.99: there is none on this machine, and uv could not fetch it."
    )
    assert "python3.99" in second
    assert "3.99" in Path(log.removeprefix("full log: ")).read_text(encoding="utf-8")
    assert environments.built() == []


def test_what_does_not_run_as_the_python_it_is_called_is_passed_by(tmp_path, monkeypatch):
    says = {"stand-in": "exit 127", "wrong": "echo 3.9.1", "alike": "echo 3.990.1", "right": "echo 3.99.1"}
    for name, line in says.items():
        program = tmp_path / name / "python3.99"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join(str(tmp_path / name) for name in says))
    assert pythons.found("3.99") == tmp_path / "right" / "python3.99"


def test_of_those_of_pyenv_and_uv_the_newest_is_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))
    places = ["pyenv/versions/3.99.9", "pyenv/versions/3.99.10", "uv/cpython-3.99.2-linux-x86_64-gnu"]
    for place in places:
        program = tmp_path / place / "bin" / "python3.99"
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\necho 3.99.0\n", encoding="utf-8")
        program.chmod(0o755)
    found = [path.parent.parent.relative_to(tmp_path).as_posix() for path in pythons.candidates("3.99")]
    assert found == [places[2], places[1], places[0]]


def test_pins_for_another_python_are_for_that_alone(lists):
    folder = lists(old="# python: 3.10\nexceptiongroup")
    environments.compile_list("old")
    pins = (folder / "old.txt").read_text(encoding="utf-8").splitlines()
    assert [pin.partition("==")[0] for pin in pins] == ["exceptiongroup", "typing-extensions"]
    assert all(pin.endswith("; python_full_version < '3.11'") for pin in pins)


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """Make a folder of wheels the only registry, and return what puts a wheel there."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_NO_INDEX", "1")

    def wheel(name: str, version: str, tag: str) -> None:
        info = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(folder / f"{name}-{version}-{tag}-none-any.whl", "w") as archive:
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}-none-any\n")
            archive.writestr(f"{info}/RECORD", "")

    return wheel


@pytest.fixture
def compiled(tmp_path, registry, other, monkeypatch):
    """A package with a wheel for the other Python alone, pinned beside one that both have."""
    asked = f"# compiles: slow, but for Python {other}\nslow\nheavy"
    write_lists(tmp_path, monkeypatch, {"slow": (asked, "slow==1.0\nheavy==2.0")})
    registry("slow", "1.0", f"cp{other.replace('.', '')}")
    registry("heavy", "2.0", "py3")
    return environments.compiled("slow")


def test_the_python_with_the_wheel_is_taken(compiled, other):
    assert environments.settled("slow") == (environments.place_of("slow", other), other)
    assert environments.identity("slow", "managed") == environments.ensure("slow").python.parts[-3]
    said = subprocess.run([environments.ensure("slow").python, "--version"], capture_output=True, text=True, check=True)
    assert pythons.is_of(said.stdout.split()[1], other)


def test_the_running_python_stays_where_it_alone_has_a_build(compiled, registry, other):
    registry("heavy", "2.0+cpu", f"cp{HERE.replace('.', '')}")
    assert environments.settled("slow")[1] != other
    wheels.would_install.cache_clear()
    registry("heavy", "2.0+cpu", f"cp{other.replace('.', '')}")
    assert environments.settled("slow")[1] == other


def test_the_running_python_stays_where_the_environment_is_built_already(compiled, other):
    environments.folder_of("slow").mkdir(parents=True)
    assert environments.settled("slow") == (environments.folder_of("slow"), environments.versions("slow")[-1])


def test_the_running_python_stays_where_there_is_no_other(compiled, monkeypatch):
    monkeypatch.setattr(pythons, "found", lambda version: None)
    assert environments.settled("slow")[0] == environments.folder_of("slow")


def test_compiling_is_told_and_a_missing_compiler_before_it_begins(compiled, monkeypatch, tmp_path, capfd):
    uv.find()  # by the path that has it
    wheels.tell_of_compiling("the environment slow", compiled, Path(sys.executable))
    assert capfd.readouterr().err.startswith("compiling the C++ of slow, which has a wheel for Python ")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(UserError, match=r"the environment slow needs a C\+\+ compiler, for slow, .*\nInstall one"):
        wheels.tell_of_compiling("the environment slow", compiled, Path(sys.executable))
    wheels.tell_of_compiling("the environment slow", compiled, pythons.found(compiled.version) or Path())
    assert capfd.readouterr().err == ""


def test_headers_that_are_missing_are_told_too(compiled, monkeypatch, tmp_path):
    monkeypatch.setattr(wheels.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(UserError, match=re.escape(f"there is no {tmp_path}/Python.h")):
        wheels.tell_of_compiling("the environment slow", compiled, Path(sys.executable))
