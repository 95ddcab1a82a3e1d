"""What is compiled for codes is there before the first code."""

import subprocess
import sys


def test_the_first_codes_compile_nothing():
    code = (
        "from edge.hotpath.presentation import open_text, open_texts, warm_codes\n"
        "from edge.protocol.kernels import decode_each, decode_groups\n"
        "loops = (decode_each, decode_groups)\n"
        "cold = [len(loop.signatures) for loop in loops]\n"
        "warm_codes()\n"
        "warm = [len(loop.signatures) for loop in loops]\n"
        "open_text('KH1:' + 'BB8' * 9)\n"
        "open_texts(['KH1:' + 'BB8' * 9, 'KH1:!', 'KH1:' + 'BB8' * 40])\n"
        "print(cold, warm, [len(loop.signatures) for loop in loops])\n")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "[0, 0] [1, 1] [1, 1]\n"
