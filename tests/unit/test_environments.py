"""From a bare Python to an environment: pip's settings for uv, whole builds, errors with the log."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

from harness import bootstrap, environments
from harness.errors import UserError


def test_what_is_set_for_pip_is_handed_on_to_uv():
    pip = {
        "index-url": "https://mirror.example/simple",
        "extra-index-url": "https://one.example/simple https://two.example/simple",
        "find-links": "/wheels /more",
        "cert": "/certificates.pem",
        "proxy": "http://proxy.example:3128",
        "default-timeout": "90",
    }
    handed = environments.settings_for_uv({"PATH": "/bin"}, pip)
    assert handed["UV_DEFAULT_INDEX"] == pip["index-url"]
    assert handed["UV_INDEX"].split() == pip["extra-index-url"].split()
    assert handed["UV_FIND_LINKS"] == "/wheels,/more"
    assert handed["SSL_CERT_FILE"] == "/certificates.pem"
    assert handed["HTTPS_PROXY"] == handed["HTTP_PROXY"] == pip["proxy"]
    assert handed["UV_HTTP_TIMEOUT"] == "90"
    assert handed["PATH"] == "/bin"


def test_what_is_set_for_uv_stands():
    handed = environments.settings_for_uv({"UV_FIND_LINKS": "/mine"}, {"find-links": "/pip"})
    assert handed["UV_FIND_LINKS"] == "/mine"


def test_pip_s_files_and_variables_are_read(tmp_path, monkeypatch):
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nindex-url = https://file.example/simple\ntimeout = 7\n", encoding="utf-8")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("PIP_INDEX_URL", "https://variable.example/simple")
    monkeypatch.setattr(sys, "executable", sys._base_executable)
    options = environments.pip_options()
    assert options["index-url"] == "https://variable.example/simple"
    assert options["timeout"] == "7"


@pytest.fixture
def lists(tmp_path, monkeypatch):
    """Lists of one's own: `good` has one small package, `bad` one that does not exist."""
    folder = tmp_path / "lists"
    folder.mkdir()
    for name, pin in (("good", "six==1.17.0"), ("bad", "six==0.0.0.0")):
        (folder / f"{name}.in").write_text("six\n", encoding="utf-8")
        (folder / f"{name}.txt").write_text(f"{pin}\n", encoding="utf-8")
    (folder / environments.OVERRIDES).write_text("", encoding="utf-8")
    monkeypatch.setattr(environments, "LISTS", folder)
    monkeypatch.setenv("FINETUNE_RECIPES_HOME", str(tmp_path / "home"))
    return folder


def test_an_environment_is_built_once_and_used_again(lists, capfd):
    first = environments.ensure("good")
    assert first.packages["six"] == "1.17.0"
    assert first.size_mb > 0
    said = capfd.readouterr().err
    assert re.search(r"building the environment good .*: [\d.]+ s \(\d+ MB\)", said)
    assert environments.ensure("good") == first
    assert capfd.readouterr().err == ""
    version = subprocess.run([first.python, "-c", "import six; print(six.__version__)"], capture_output=True, text=True)
    assert version.stdout == "1.17.0\n"


def test_another_list_is_another_environment(lists):
    before = environments.folder_of("good")
    (lists / "good.txt").write_text("six==1.16.0\n", encoding="utf-8")
    assert environments.folder_of("good") != before


def test_a_build_that_fails_is_told_with_its_last_lines_and_leaves_nothing(lists):
    with pytest.raises(UserError) as error:
        environments.ensure("bad")
    assert "six==0.0.0.0" in str(error.value)
    log = Path(str(error.value).rsplit("full log: ", 1)[1])
    assert "six==0.0.0.0" in log.read_text(encoding="utf-8")
    assert not environments.folder_of("bad").exists()
    assert environments.built() == []


def test_a_compiled_list_has_pins_and_no_addresses(lists):
    environments.compile_list("good")
    assert re.fullmatch(r"six==[\d.]+\n", (lists / "good.txt").read_text(encoding="utf-8"))


def test_what_an_override_leaves_out_is_neither_pinned_nor_installed(lists):
    (lists / "good.in").write_text("python-dateutil<2.10\n", encoding="utf-8")  # it asks for six
    (lists / environments.OVERRIDES).write_text("six ; python_version < '3'\n", encoding="utf-8")
    environments.compile_list("good")
    assert environments.ensure("good").packages.keys() == {"python-dateutil"}


def test_the_script_lists_builds_and_prunes(lists, monkeypatch, tmp_path):
    script = [sys.executable, str(ROOT / "scripts" / "environments.py")]
    environments.ensure("good")
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    assert re.search(r"^good \(old\) +\d+ MB  built .*: ", done.stdout, re.MULTILINE)
    assert re.search(r"^core +not built yet$", done.stdout, re.MULTILINE)
    removed = subprocess.run([*script, "prune"], capture_output=True, text=True, check=True).stdout
    assert removed.startswith("removed ")
    assert environments.built() == []


@pytest.mark.parametrize("name", environments.names())
def test_each_list_pins_what_is_asked_for(name):
    pins = (ROOT / "configs" / "environments" / f"{name}.txt").read_text(encoding="utf-8").lower()
    for package in environments.requirements(name):
        assert re.search(rf"^{package.lower()}==", pins, re.MULTILINE), package


def test_an_old_python_is_told():
    code = f"import sys, runpy; sys.version_info = (3, 9, 18); runpy.run_path({str(ROOT / 'train.py')!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: Python 3.10 or newer is needed")


def test_where_the_project_is_installed_nothing_is_built(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    here = {*environments.requirements("core"), "finetune-recipes"}
    monkeypatch.setattr(bootstrap, "_installed", here.__contains__)
    assert bootstrap.suitable("core")
    here.remove("hydra-core")
    assert not bootstrap.suitable("core")


def test_a_bare_python_starts_again_in_the_core_environment_and_fast_the_second_time():
    """The run must not see our tests' environment: it is given the Python that this one was made from."""
    bare = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "FINETUNE_RECIPES_PYTHON")}
    command = [sys._base_executable, str(ROOT / "train.py"), "--cfg", "job", "--package", "seed"]
    done = subprocess.run(command, capture_output=True, text=True, env=bare, check=False)
    assert done.returncode == 0, done.stderr
