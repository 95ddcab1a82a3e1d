"""Site points beside a pack: believed only as the node itself signed them."""

import msgspec
import pytest

from edge.errors import PackError
from edge.models.operating import (
    SITE_FILE,
    SignedCalibration,
    SiteCalibration,
    SitePoint,
    read_site_calibration,
    site_points,
    write_site_calibration,
)
from edge.node_key import NodeKey

OWN, OTHER = NodeKey(bytes(32)), NodeKey(bytes([1] * 32))
POINT = SitePoint(fmr=1e-3, threshold=0.91, errors=12, fmr_low=1e-4, fmr_high=2e-3, fnmr=0.02,
                  fnmr_low=0.01, fnmr_high=0.04)
MEASURED = SiteCalibration(pack="p1", measured_s=5, persons=30, images=90, failures=1, genuine=90,
                           impostor=4_000, points=(POINT,))


def test_what_the_node_signed_it_reads_again(tmp_path):
    assert site_points(tmp_path, "p1", OWN.sign_public) == ((), "")
    write_site_calibration(tmp_path, MEASURED, OWN.signing)
    assert read_site_calibration(tmp_path, OWN.sign_public) == MEASURED
    [point], why = site_points(tmp_path, "p1", OWN.sign_public)
    assert (point.fmr, point.threshold, point.fnmr, why) == (1e-3, 0.91, 0.02, "")


@pytest.mark.parametrize("key", [None, OTHER.signing], ids=["nobody", "another node"])
def test_points_of_somebody_else_are_not_believed(tmp_path, key):
    write_site_calibration(tmp_path, MEASURED, key)
    found, why = site_points(tmp_path, "p1", OWN.sign_public)
    assert not found
    assert "isn't signed by this node" in why


def test_points_of_another_pack_are_not_used(tmp_path):
    write_site_calibration(tmp_path, MEASURED, OWN.signing)
    found, why = site_points(tmp_path, "p2", OWN.sign_public)
    assert not found
    assert "'p1'" in why


def test_a_threshold_altered_afterwards_is_found_out(tmp_path):
    write_site_calibration(tmp_path, MEASURED, OWN.signing)
    path = tmp_path / SITE_FILE
    signed = msgspec.json.decode(path.read_bytes(), type=SignedCalibration)
    looser = msgspec.structs.replace(signed, statement=signed.statement.replace("0.91", "0.11"))
    assert looser != signed
    path.write_bytes(msgspec.json.encode(looser))
    with pytest.raises(PackError, match="altered"):
        read_site_calibration(tmp_path, OWN.sign_public)


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff" * 40, b"x" * 300_000])
def test_a_file_that_is_no_calibration_is_said_and_passed_over(tmp_path, data):
    (tmp_path / SITE_FILE).write_bytes(data)
    found, why = site_points(tmp_path, "p1", OWN.sign_public)
    assert not found
    assert str(tmp_path) in why
