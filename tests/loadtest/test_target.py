"""Only this machine is loaded, unless another host is named on purpose."""

import subprocess
import sys

import pytest

from loadtest.errors import LoadTestError
from loadtest.target import parse_target


@pytest.mark.parametrize("url", [
    "http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080/", "https://127.1.2.3"])
def test_loopback_may_be_loaded(url):
    assert parse_target(url).port in (8080, 443)


@pytest.mark.parametrize("url", ["http://192.0.2.7:8080", "http://[2001:db8::1]:80",
                                 "http://0.0.0.0:8080", "http://2130706434.invalid:80"])
def test_any_other_address_is_refused(url):
    with pytest.raises(LoadTestError):
        parse_target(url)


def test_another_host_is_loaded_only_when_it_is_named():
    assert parse_target("http://192.0.2.7:8080", "192.0.2.7").host == "192.0.2.7"
    with pytest.raises(LoadTestError, match=r"--allow-remote 192\.0\.2\.8"):
        parse_target("http://192.0.2.8:8080", "192.0.2.7")


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://127.0.0.1", "http://", "http://x:y",
                                 "http://127.0.0.1:8080/v1"])
def test_what_is_no_address_is_refused_with_an_example(url):
    with pytest.raises(LoadTestError, match="--target"):
        parse_target(url)


@pytest.mark.parametrize("wrong", [
    ["--duration", "601"], ["--rate", "0"], ["--mix", "faces=1"], ["--duty", "0"],
    ["--deadline", "11"], ["--connections", "0"], ["--timeout", "999"]])
def test_wrong_usage_says_what_is_right_and_loads_nothing(wrong, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", "--target", "http://127.0.0.1:9", "--data",
         str(tmp_path), *wrong], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("loadtest: ")
    assert "Traceback" not in done.stderr
