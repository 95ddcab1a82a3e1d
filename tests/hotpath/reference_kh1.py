"""A second, plain implementation of KH1, written straight from its description.

It shares no code with the product, is slow, and exists to disagree with it.
"""

import hashlib
import hmac

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC

CHARS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


def b45(data: bytes) -> str:
    out = ""
    for i in range(0, len(data), 2):
        chunk = data[i : i + 2]
        n = int.from_bytes(chunk, "big")
        out += CHARS[n % 45] + CHARS[n // 45 % 45]
        if len(chunk) == 2:
            out += CHARS[n // 2025]
    return out


def mac(hash_name: str, key: bytes, data: bytes) -> bytes:
    h = HMAC(key, hashes.SM3() if hash_name == "sm3" else hashes.SHA256())
    h.update(data)
    return h.finalize()


def hkdf(hash_name: str, secret: bytes, info: bytes, length: int, salt: bytes = bytes(32)) -> bytes:
    prk = mac(hash_name, salt, secret)
    out, block, count = b"", b"", 1
    while len(out) < length:
        block = mac(hash_name, prk, block + info + bytes([count]))
        out, count = out + block, count + 1
    return out[:length]


def compact(suite: int, master: bytes, credential_id: bytes, step: int) -> str:
    name = "sha256" if suite == 1 else "sm3"
    alias_key = hkdf(name, master, b"kanhe/KH1/alias", 32 if suite == 1 else 16)
    algorithm = algorithms.AES(alias_key) if suite == 1 else algorithms.SM4(alias_key)
    alias = Cipher(algorithm, modes.ECB()).encryptor().update(credential_id)
    token = hkdf(name, master, b"kanhe/KH1/token", 32)
    head = bytes([suite]) + step.to_bytes(4, "big") + alias
    tag = mac(name, mac(name, token, credential_id), b"kanhe/KH1" + head)[:16]
    return "KH1:" + b45(head + tag)


def _labeled(suite_id: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite_id + label + ikm, hashlib.sha256)


def _expand(suite_id: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    labeled = length.to_bytes(2, "big") + b"HPKE-v1" + suite_id + label + info
    out, block, count = b"", b"", 1
    while len(out) < length:
        block = hmac.digest(prk, block + labeled + bytes([count]), hashlib.sha256)
        out, count = out + block, count + 1
    return out[:length]


def hpke_seal(public: bytes, ephemeral: bytes, info: bytes, plain: bytes) -> bytes:
    """RFC 9180 base mode, DHKEM(X25519), HKDF-SHA256, AES-128-GCM, sequence number 0."""
    secret = X25519PrivateKey.from_private_bytes(ephemeral)
    enc = secret.public_key().public_bytes_raw()
    dh = secret.exchange(X25519PublicKey.from_public_bytes(public))
    kem = b"KEM" + (0x20).to_bytes(2, "big")
    eae = _labeled(kem, b"", b"eae_prk", dh)
    shared = _expand(kem, eae, b"shared_secret", enc + public, 32)
    suite = b"HPKE" + b"\x00\x20\x00\x01\x00\x01"
    context = b"\x00" + _labeled(suite, b"", b"psk_id_hash", b"")
    context += _labeled(suite, b"", b"info_hash", info)
    prk = _labeled(suite, shared, b"secret", b"")
    key = _expand(suite, prk, b"key", context, 16)
    nonce = _expand(suite, prk, b"base_nonce", context, 12)
    return enc + AESGCM(key).encrypt(nonce, plain, b"")


def sealed(master: bytes, seal_public: bytes, ephemeral: bytes, header_epoch: int,
           credential_id: bytes, step: int, card: bytes = b"") -> str:
    token = hkdf("sha256", master, b"kanhe/KH1/token", 32)
    holder = mac("sha256", token, credential_id)
    body = step.to_bytes(4, "big") + credential_id
    tag = mac("sha256", holder, b"kanhe/KH1\x11" + body + card)[:16]
    head = b"\x11" + header_epoch.to_bytes(2, "big")
    plain = body + tag + card
    return "KH1:" + b45(head + hpke_seal(seal_public, ephemeral, b"kanhe/KH1/sealed" + head, plain))
