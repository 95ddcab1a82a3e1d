"""The measures of the house: sizes of rooms, owners of foreign parts, clean words."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("edge", "central", "kanhe", "bench", "loadtest")
FILE_LINES_MAX = 300
FUNCTION_LINES_MAX = 50
FILE_BYTES_MAX = 500_000

OWNERS = {
    "onnxruntime": {"edge/models/sessions.py"},
    "cbor2": {"edge/protocol/cose.py"},
    "lmdb": {"edge/cache/lmdb_env.py"},
    "redis": {"edge/cache/site/link.py"},
    "pyzbar": {"edge/capture/zbar_worker.py"},
    "prometheus_client": {"edge/metrics.py", "central/metrics.py"},
}
"""Foreign part → the modules that may import it (benchmarks and tests apart)."""

STRAY = re.compile(
    r"/(?:work|farm|root)/|/tmp/bash|\bTODO\b|\bFIXME\b|\bXXX\b|files\.pythonhosted|pypi\.org"
)


def tracked() -> list[Path]:
    """List the files of this repository, whether or not git is there to say."""
    run = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )
    names = run.stdout.split("\n") if run.returncode == 0 else []
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def product_modules() -> list[Path]:
    return [path for room in PRODUCT for path in sorted((ROOT / room).rglob("*.py"))]


def imports_of(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


def test_no_room_outgrows_its_walls():
    too_large = []
    for path in product_modules():
        text = path.read_text()
        name = path.relative_to(ROOT)
        if text.count("\n") > FILE_LINES_MAX:
            too_large.append(f"{name}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > FUNCTION_LINES_MAX:
                    too_large.append(f"{name}:{node.lineno} {node.name}: {size} lines")
    assert not too_large, "\n".join(too_large)


@pytest.mark.parametrize("part", sorted(OWNERS))
def test_each_foreign_part_has_one_owner(part):
    strangers = [
        name
        for path in product_modules()
        if (name := path.relative_to(ROOT).as_posix()) not in OWNERS[part]
        and not name.startswith("bench/")
        and part in imports_of(ast.parse(path.read_text()))
    ]
    assert not strangers, f"{part} is imported by {strangers}, it belongs to {OWNERS[part]}"


def test_numba_lives_in_kernels_only():
    strangers = [
        path.relative_to(ROOT).as_posix()
        for path in product_modules()
        if path.name != "kernels.py"
        and path.parts[len(ROOT.parts)] != "bench"
        and "numba" in imports_of(ast.parse(path.read_text()))
    ]
    assert not strangers


def test_nothing_in_the_repository_speaks_of_a_machine_or_of_unfinished_work():
    found = []
    for path in tracked():
        if path == Path(__file__) or path.suffix in {".png", ".jpg", ".npz", ".onnx"}:
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if STRAY.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert not found, "\n".join(found)


def test_nothing_large_or_binary_slips_in():
    heavy = [
        f"{path.relative_to(ROOT)}: {path.stat().st_size}"
        for path in tracked()
        if path.stat().st_size > FILE_BYTES_MAX or path.suffix in {".onnx", ".dat", ".bin"}
    ]
    assert not heavy


def test_lock_files_carry_versions_and_hashes_and_no_addresses():
    for name in ("requirements.lock", "requirements-test.lock", "requirements-build.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        packages = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert packages
        assert all("==" in line for line in packages)
        assert text.count("--hash=sha256:") >= len(packages)
