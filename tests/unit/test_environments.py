"""From a bare Python to an environment: pip's settings for uv, whole builds, errors with the log."""

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml
from environments_support import write_lists
from support import ROOT

from harness.base import bootstrap, environments, uv
from harness.base.errors import UserError
from harness.runs import store
from harness.use import parity


def test_what_is_set_for_pip_is_handed_on_to_uv():
    pip = {
        "index-url": "https://mirror.example/simple",
        "extra-index-url": "https://one.example/simple https://two.example/simple",
        "find-links": "/wheels /more",
        "cert": "/certificates.pem",
        "proxy": "http://proxy.example:3128",
        "default-timeout": "90",
    }
    handed = uv.settings({"PATH": "/bin"}, pip)
    assert handed["UV_DEFAULT_INDEX"] == pip["index-url"]
    assert handed["UV_INDEX"].split() == pip["extra-index-url"].split()
    assert handed["UV_FIND_LINKS"] == "/wheels,/more"
    assert handed["SSL_CERT_FILE"] == "/certificates.pem"
    assert handed["HTTPS_PROXY"] == handed["HTTP_PROXY"] == pip["proxy"]
    assert handed["UV_HTTP_TIMEOUT"] == "90"
    assert handed["PATH"] == "/bin"


def test_what_is_set_for_uv_stands():
    handed = uv.settings({"UV_FIND_LINKS": "/mine"}, {"find-links": "/pip"})
    assert handed["UV_FIND_LINKS"] == "/mine"


def test_pip_s_files_and_variables_are_read(tmp_path, monkeypatch):
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nindex-url = https://file.example/simple\ntimeout = 7\n", encoding="utf-8")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    monkeypatch.setenv("PIP_INDEX_URL", "https://variable.example/simple")
    monkeypatch.setattr(sys, "executable", sys._base_executable)
    options = uv.pip_options()
    assert options["index-url"] == "https://variable.example/simple"
    assert options["timeout"] == "7"


@pytest.fixture
def lists(tmp_path, monkeypatch):
    """Lists of one's own: `good` has one small package, `bad` one that does not exist."""
    return write_lists(tmp_path, monkeypatch, {"good": ("six", "six==1.17.0"), "bad": ("six", "six==0.0.0.0")})


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


def test_an_environment_of_its_own_overrides_has_no_others(lists):
    others = environments.folder_of("bad")
    (lists / "good.in").write_text("python-dateutil<2.10\n", encoding="utf-8")  # it asks for six
    (lists / "good.overrides.txt").write_text("six<1.17\n", encoding="utf-8")
    (lists / environments.OVERRIDES).write_text("", encoding="utf-8")
    environments.compile_list("good")
    before = environments.folder_of("good")
    assert environments.ensure("good").packages.keys() == {"python-dateutil", "six"}
    (lists / "good.overrides.txt").write_text("six ; python_version < '3'\n", encoding="utf-8")
    environments.compile_list("good")
    assert environments.ensure("good").packages.keys() == {"python-dateutil"}
    assert environments.folder_of("good") != before
    assert environments.folder_of("bad") == others


@pytest.fixture
def python(tmp_path):
    """A Python of somebody's own: a venv that sees the system's packages, with newer ones of the same names."""
    venv.create(tmp_path / "venv", system_site_packages=True)
    site = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    (tmp_path / "more").mkdir()
    (site / "more.pth").write_text(f"{tmp_path / 'more'}\n", encoding="utf-8")  # after its own, as the system's are
    (site / "broken.dist-info").mkdir()
    answer = [sys._base_executable, "-c", "import importlib.metadata as m; print(*(d.name for d in m.distributions()))"]
    systems = subprocess.run(answer, capture_output=True, text=True, check=True, env={}).stdout.split()
    for folder, version in ((site, "9.9"), (tmp_path / "more", "1.1")):
        for name in {"Some_Library", *systems}:
            distribution(folder, name, version)
    return tmp_path / "venv" / "bin" / "python"


def distribution(folder: Path, name: str, version: str) -> None:
    place = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    (folder / f"{name.replace('-', '_').lower()}.py").write_text(f"__version__ = '{version}'\n", encoding="utf-8")


def test_of_two_distributions_of_one_name_that_which_python_imports_is_reported(python, tmp_path, monkeypatch):
    distribution(tmp_path / "ours", "some-library", "3.3")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "ours"))  # which a worker does not see
    distribution(tmp_path / "here", "some-library", "4.4")
    monkeypatch.chdir(tmp_path / "here")  # and neither where we stand
    found = environments.of("tfidf", str(python)).packages
    assert set(found.values()) == {"9.9"}
    code = "import some_library; print(some_library.__version__)"
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    imported = subprocess.run([python, "-c", code], cwd=ROOT, env=clean, capture_output=True, text=True, check=True)
    assert imported.stdout == "9.9\n" == f"{found['some-library']}\n"


def test_another_package_in_a_python_of_one_s_own_is_another_environment(python, tmp_path):
    def asked() -> str:
        environments.interpreter.asked_once.cache_clear()  # as in another process
        return environments.identity("tfidf", str(python))

    before = asked()
    assert before.startswith(f"{python} (") and asked() == before
    distribution(next((tmp_path / "venv").glob("lib/python*/site-packages")), "another", "1.0")
    assert asked() != before
    assert environments.identity("tfidf", f"{tmp_path}/nowhere") == f"{tmp_path}/nowhere"


def test_parity_runs_a_recipe_in_its_env_and_the_reference_in_one_and_the_same(python, tmp_path, monkeypatch):
    done, run, weights = [], tmp_path / "run", tmp_path / "weights"
    for path in (run / "head.npz", run / "order.npy", run / "model" / "x", weights / "model.safetensors"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (run / "predictions_test.npz").write_bytes(b"x")
    store.write_json(
        run / "result.json", {"status": "finished", "environment": str(python), "reload.max_difference": 0}
    )
    store.write_json(run / "job.json", {"weights": str(weights), "pooling": "mean", "splits": {}})
    config = {"recipe": {"environment": "tfidf"}, "env": str(python)}
    (run / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    monkeypatch.setattr(parity, "work", lambda folder, python, action: done.append((python, action)))
    monkeypatch.setattr(parity, "events", lambda folder: [{"event": "reloaded", "max_difference": 0.0}])
    for name in ("hidden_lines", "training_lines", "weights_line"):
        monkeypatch.setattr(parity, name, lambda *_: [])
    managed = environments.Environment(parity.REFERENCE_ENVIRONMENT, Path("managed"), {})
    monkeypatch.setattr(environments, "ensure", {parity.REFERENCE_ENVIRONMENT: managed}.__getitem__)
    comparison = parity.Comparison(tmp_path)
    monkeypatch.setattr(comparison, "run", lambda words, name: run)
    comparison.lines(["recipe=torch"], repeated=False)
    reference = [(managed.python, action) for action in ("finetune", "hidden")]
    assert done == [*reference, (python, "hidden"), (managed.python, "reload")]


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
