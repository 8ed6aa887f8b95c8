"""A script beside a foreign ``tasks.py``, as users of Invoke and Celery have it."""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USES = {
    "attribute": "import clipomaly; clipomaly.scan",
    "after its own": "import tasks, clipomaly; clipomaly.open_table",
    "by another": "import clipomaly; clipomaly.Queue",
}


def run(script: str, folder: Path, *more: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    """Run a script that lies in ``folder``, from there."""
    (folder / "night.py").write_text(script)
    command = [python, *(more or ("night.py",))]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("use", USES)
def test_a_foreign_module_is_named_in_one_line(tmp_path: Path, use: str) -> None:
    (tmp_path / "tasks.py").write_text("def deploy(): ...\n")
    ran = run(USES[use], tmp_path)
    last = ran.stderr.strip().splitlines()[-1]
    assert f"{tmp_path / 'tasks.py'} hides Clipomaly's own package 'tasks': rename it" in last


@pytest.mark.parametrize("name", ["flows", "schemas", "review", "tasks"])
def test_a_foreign_folder_is_named_by_the_command(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    ran = run("", tmp_path, "-m", "clipomaly", "--version")
    assert ran.returncode == 1
    assert ran.stderr.splitlines() == [
        f"error: {tmp_path / name} hides Clipomaly's own package {name!r}: rename it, or run from another folder."
    ]


def test_other_modules_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "tests.py").write_text("")
    ran = run("import clipomaly; print(clipomaly.__version__, clipomaly.read_frame)", tmp_path)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.slow
def test_an_installed_wheel_serves_the_api_and_names_a_foreign_module(tmp_path: Path) -> None:
    """From a wheel, in a fresh environment that sees the dependencies of this one but not the checkout."""
    source = tmp_path / "source"
    names = ("clipomaly", "clipomaly_core", "demo_fleet", "flows", "review", "schemas", "tasks")
    for name in names:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    wheel = [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(source)]
    subprocess.run(wheel, check=True, capture_output=True)
    [built] = tmp_path.glob("clipomaly-*.whl")
    venv.create(tmp_path / "fresh", with_pip=False)
    python = str(tmp_path / "fresh" / "bin" / "python")
    [site] = (tmp_path / "fresh" / "lib").glob("*/site-packages")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(site), str(built)], check=True, capture_output=True)
    others = [path for path in sys.path if path.endswith("-packages") and Path(path).is_dir()]
    (site / "dependencies.pth").write_text("".join(f"{path}\n" for path in others))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in names:
        assert (site / name / "py.typed").exists(), name
    smoke = (
        "import clipomaly, tasks\n"
        "assert all(getattr(clipomaly, name) is not None for name in clipomaly.__all__)\n"
        "print(clipomaly.__version__, tasks.__file__)\n"
    )
    ran = run(smoke, elsewhere, python=python)
    assert ran.returncode == 0, ran.stderr
    assert str(site) in ran.stdout
    (elsewhere / "tasks.py").write_text("def deploy(): ...\n")
    ran = run(smoke, elsewhere, python=python)
    assert f"{elsewhere / 'tasks.py'} hides Clipomaly's own package 'tasks'" in ran.stderr.strip().splitlines()[-1]
