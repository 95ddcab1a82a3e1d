"""What identifies a gate's request and its content, so that the same one is answered once."""

import hashlib
from collections.abc import Sequence


def request_key(gate_id: str, request_id: str) -> bytes:
    """Identify a gate's request, 16 bytes."""
    return hashlib.sha256(f"{gate_id}\0{request_id}".encode("utf-8", "surrogatepass")).digest()[:16]


def body_digest(
    scene: str, presentation: str, challenge_id: str,
    code_images: Sequence[bytes], face_images: Sequence[bytes],
) -> bytes:
    """Digest a call's content whatever its encoding, 16 bytes."""
    parts: list[bytes] = []
    for text in (scene, presentation, challenge_id):
        data = text.encode("utf-8", "surrogatepass") if text else b""
        parts += (len(data).to_bytes(8, "big"), data)
    if not code_images and not face_images:
        parts.append(_NO_IMAGES)
        return hashlib.sha256(b"".join(parts)).digest()[:16]
    for images in (code_images, face_images):
        parts.append(len(images).to_bytes(8, "big"))
        for image in images:
            parts.append(hashlib.sha256(image).digest())
    return hashlib.sha256(b"".join(parts)).digest()[:16]


_NO_IMAGES = bytes(16)
