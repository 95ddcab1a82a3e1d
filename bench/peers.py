"""Peers side by side: `python -m bench.peers [--small]`, a table and JSON lines.

- HTTP floor (bare aiohttp, nginx), code reading (zxing-cpp, OpenCV, pyzbar), face functions
  (InsightFace's), the model runtime alone, one among many (FAISS, usearch: `bench.peers_gallery`):
  each on the same inputs, in turn, in one run.
- A peer that isn't installed is left out, with a line that says so.
- `--write-docs` keeps the rows and renews `docs/performance.md`.
"""

import argparse
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime
import simplejpeg
import zxingcpp
from insightface.utils import face_align
from pyzbar import pyzbar

from bench import harness_docs, http_code_only, http_cpu
from bench.frame_to_text import QR_ONLY, make_frames
from bench.harness import Row, interleave
from bench.harness_http import ANSWER_BYTES
from bench.peers_gallery import gallery
from edge.capture.reader import FrameReader
from edge.hotpath.holder import compare_templates
from edge.models.convert import ensure_default_pack
from edge.models.engine import FaceEngine
from edge.models.geometry import cut_chip
from edge.models.sessions import Runner
from kanhe.demo.people import load_group

FRAMES, SMALL_FRAMES = 120, 12
NGINX_S, SMALL_NGINX_S = 4, 1
CONNECTIONS = 32
_NGINX = """
worker_processes 1; master_process off; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path {folder}/body; keepalive_requests 1000000000;
  proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; location / {{
    default_type application/json; return 200 '{answer}'; }} }}
}}
"""
_LUA = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '%s'
"""


def main() -> int:
    """Print all rows as they come, then the table."""
    parser = argparse.ArgumentParser(prog="bench.peers")
    parser.add_argument("--small", action="store_true", help="smallest size that still runs")
    parser.add_argument("--only", choices=list(QUESTIONS), help="one question")
    parser.add_argument("--write-docs", action="store_true",
                        help="keep the rows and renew tables and pictures of docs/performance.md")
    args = parser.parse_args()
    watch = harness_docs.Watch()
    rows = measure_peers(small=args.small, only=args.only)
    print("\n".join(harness_docs.table_of(rows)))
    if args.write_docs:
        harness_docs.keep([], rows, watch.run(small=args.small))
    return 0


def measure_peers(*, small: bool, only: str | None = None) -> list[Row]:
    """Put all questions, or one, to ours and the peers; print each row as it comes."""
    rows: list[Row] = []
    for name, question in QUESTIONS.items():
        if only in (None, name):
            print(f"peers: {name} …", file=sys.stderr, flush=True)
            for row in question(small):
                rows.append(row)
                print(msgspec.json.encode(row).decode(), flush=True)
    return rows


def http(small: bool) -> list[Row]:
    """Compare answers of the same size: rates on one core, wrk on the other, and CPU time."""
    rate, cpu = http_code_only.run(small=small), http_cpu.run(small=small)
    rows = [
        Row(question=question, peer=peer, figure=figure or 0.0, unit=unit,
            note="" if result.valid else f"not valid: {result.why}")
        for question, unit, result in (("HTTP, rate", "1/s", rate), ("HTTP, CPU", "us", cpu))
        for peer, figure in (("node, code only", result.ours), ("bare aiohttp", result.theirs))
    ]
    note = "reads the body, decodes and judges nothing"
    if shutil.which("nginx") is None or shutil.which("wrk") is None:
        return [*rows, Row(question="HTTP, rate", peer="nginx", figure=0.0, unit="1/s",
                           note="nginx or wrk isn't installed")]
    per_s, each_us = _nginx(SMALL_NGINX_S if small else NGINX_S)
    return [*rows,
            Row(question="HTTP, rate", peer="nginx, fixed answer", figure=per_s, unit="1/s",
                note=note),
            Row(question="HTTP, CPU", peer="nginx, fixed answer", figure=each_us, unit="us",
                note=note)]


def _nginx(seconds: int) -> tuple[float, float]:
    """Give the rate of nginx with a fixed answer, and its CPU microseconds a request."""
    with tempfile.TemporaryDirectory(prefix="kanhe-nginx-") as name:
        folder, port = Path(name), _free_port()
        folder.chmod(0o755)
        answer = '{"filler":"' + "x" * (ANSWER_BYTES - 13) + '"}'
        (folder / "nginx.conf").write_text(_NGINX.format(folder=name, port=port, answer=answer))
        (folder / "load.lua").write_text(_LUA % ("x" * 160))
        server = subprocess.Popen(
            ["taskset", "-c", "0", "nginx", "-p", name, "-c", str(folder / "nginx.conf")],
            stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            before = http_cpu.cpu_s_of(server.pid)
            out = subprocess.run(
                ["taskset", "-c", "1", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s",
                 str(folder / "load.lua"), f"http://127.0.0.1:{port}/v1/verifications"],
                capture_output=True, text=True, check=True).stdout
            took = http_cpu.cpu_s_of(server.pid) - before
        finally:
            server.terminate()
            server.wait()
    found = re.search(r"(\d+) requests in", out)
    assert found is not None, out
    return float(out.partition("Requests/sec:")[2].split()[0]), took / int(found[1]) * 1e6


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def codes(small: bool) -> list[Row]:
    """Read the same phone frames; every peer decodes the JPEG itself, as it would have to."""
    frames = make_frames(SMALL_FRAMES if small else FRAMES)
    reader, opencv = FrameReader(), cv2.QRCodeDetector()

    def _grey(jpeg: bytes) -> npt.NDArray[np.uint8]:
        plane: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(jpeg, "GRAY")[:, :, 0]
        return plane

    peers: dict[str, Callable[[bytes], list[str]]] = {
        "frame reader (ours)": lambda jpeg: list(reader.read(jpeg).texts),
        "zxing-cpp, default": lambda jpeg: [
            code.text for code in zxingcpp.read_barcodes(_grey(jpeg))],
        "zxing-cpp, QR only": lambda jpeg: [
            code.text for code in zxingcpp.read_barcodes(_grey(jpeg), formats=QR_ONLY)],
        "OpenCV QRCodeDetector": lambda jpeg: [opencv.detectAndDecode(_grey(jpeg))[0]],
        "pyzbar, QR only": lambda jpeg: [
            code.data.decode("utf-8", "replace")
            for code in pyzbar.decode(_grey(jpeg), symbols=[pyzbar.ZBarSymbol.QRCODE])],
    }
    read = dict.fromkeys(peers, 0)
    took: dict[str, list[float]] = {name: [] for name in peers}
    for text, jpeg in frames:
        for name, peer in peers.items():
            start = time.process_time()
            found = peer(jpeg)
            took[name].append((time.process_time() - start) * 1e3)
            read[name] += text in found
    return [
        Row(question="phone frames", peer=name, figure=statistics.median(took[name]), unit="ms",
            read=f"{read[name]} of {len(frames)}",
            note=f"p90 {statistics.quantiles(took[name], n=10)[-1]:.1f} ms")
        for name in peers
    ]


def faces(small: bool) -> list[Row]:
    """Align and compare as InsightFace does, and as ours does."""
    rgb, rng = load_group(), np.random.default_rng(1)
    points = [
        (rng.uniform([100, 200], [1100, 450]) + np.array(
            [[30, 40], [70, 40], [50, 62], [34, 84], [66, 84]]) + rng.normal(0, 1, (5, 2)))
        .astype(np.float32) for _ in range(100)]
    rounds = 3 if small else 15
    ours_s, theirs_s = interleave(
        lambda: [cut_chip(rgb, item) for item in points],
        lambda: [face_align.norm_crop(rgb, item, 112) for item in points], rounds, len(points))
    floats = rng.normal(size=(2, 512)).astype(np.float32)
    ints = np.rint(floats / np.abs(floats).max(axis=1, keepdims=True) * 127).astype(np.int8)
    times = range(1_000)
    mine_s, sim_s = interleave(
        lambda: [compare_templates(ints[0], ints[1]) for _ in times],
        lambda: [np.dot(floats[0], floats[1]) / np.linalg.norm(floats[0])
                 / np.linalg.norm(floats[1]) for _ in times], rounds, len(times))
    return [
        Row(question="align", peer="ours, 150 px chip", figure=ours_s * 1e6, unit="us"),
        Row(question="align", peer="InsightFace norm_crop, 112 px", figure=theirs_s * 1e6,
            unit="us"),
        Row(question="compare 512", peer="ours, int8", figure=mine_s * 1e6, unit="us"),
        Row(question="compare 512", peer="InsightFace's compute_sim, float32",
            figure=sim_s * 1e6, unit="us"),
    ]


def runtime(small: bool) -> list[Row]:
    """Run the same weights by our runner and by the runtime alone."""
    folder = ensure_default_pack(Path("var/packs"))
    file = folder / FaceEngine(folder).embedder_file
    runner, options = Runner(file), onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    bare = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    name = bare.get_inputs()[0].name
    chip = np.random.default_rng(1).integers(0, 256, (1, 150, 150, 3), np.uint8)
    ours_s, theirs_s = interleave(
        lambda: runner.run(chip), lambda: bare.run(None, {name: chip}), 5 if small else 40)
    return [
        Row(question="embedder run", peer="ours", figure=ours_s * 1e3, unit="ms"),
        Row(question="embedder run", peer="onnxruntime alone", figure=theirs_s * 1e3, unit="ms"),
    ]


QUESTIONS: dict[str, Callable[[bool], list[Row]]] = {
    "codes": codes, "faces": faces, "runtime": runtime, "gallery": gallery, "http": http,
}

if __name__ == "__main__":
    sys.exit(main())
