"""Platform and node in TLS by their own authorities, enrolled by the administrator's link."""

import ssl
import subprocess
import sys

import aiohttp
import orjson
import pytest
from cryptography import x509

from edge.access.tls import authority_pin, client_context
from kanhe.commands.central import call
from kanhe.demo.processes import Service

PASSWORD = "a long enough password"


@pytest.fixture
def services(tmp_path, face_pack_dir):
    started = []

    def start(name: str, more: str = "") -> Service:
        config = tmp_path / f"{name}.toml"
        port = "port = 0" if name == "central" else "[listen]\nport = 0"
        config.write_text(f'data_dir = "{tmp_path / name}"\npacks_dir = "{face_pack_dir.parent}"\n'
                          f'{port}\n{more}\n[tls]\nmode = "local"\n')
        service = Service(name, [name, "run", "--config", str(config)], tmp_path / f"{name}.log")
        started.append(service)
        return service

    yield start
    for service in started[::-1]:
        service.stop()


def enrol(tmp_path, link: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "kanhe", "edge", "enrol", link, "--config",
         str(tmp_path / "edge.toml")], capture_output=True, text=True, check=False, timeout=60)


async def test_a_node_enrols_over_tls_by_a_pinned_authority_and_serves_in_tls(services, tmp_path):
    central = services("central")
    url = central.wait_ready()
    assert url.startswith("https://127.0.0.1:")
    pem = (tmp_path / "central" / "tls" / "authority.crt").read_bytes()
    token = (tmp_path / "central" / "keys" / "admin.token").read_text().strip()
    with pytest.raises(ssl.SSLError):
        ssl.get_server_certificate(("127.0.0.1", int(url.rpartition(":")[2])),
                                   ca_certs="/etc/ssl/certs/ca-certificates.crt")
    answer = await call(url, token, "POST", "/v1/node-codes", b"", authority=pem)
    code = orjson.loads(answer)["code"]

    services("edge")  # ends at once: it isn't enrolled, but its configuration is written
    forged = enrol(tmp_path, f"{url}/#code={code}&authority={'0' * 64}")
    assert forged.returncode == 1
    assert "isn't of the authority" in forged.stderr
    pin = authority_pin(x509.load_pem_x509_certificate(pem))
    done = enrol(tmp_path, f"{url}/#code={code}&authority={pin}")
    assert done.returncode == 0, done.stderr
    subprocess.run([sys.executable, "-m", "kanhe", "edge", "account", "wen", "--role", "supervisor",
                    "--config", str(tmp_path / "edge.toml")], input=PASSWORD + "\n", text=True,
                   check=True, capture_output=True)
    node = services("edge")
    address = node.wait_ready()
    assert address.startswith("https://")
    believed = client_context((tmp_path / "edge" / "tls" / "authority.crt").read_bytes())
    async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=believed)) as session:
        async with session.get(address + "/readyz") as ready:
            assert ready.status == 200, await ready.text()
        form = {"name": "wen", "password": PASSWORD}
        async with session.post(address + "/signin", data=form, headers={"Origin": address},
                                allow_redirects=False) as answer:
            cookie = answer.headers["Set-Cookie"]
            assert answer.status == 303
            assert cookie.startswith("__Host-kanhe-node-")
            assert all(word in cookie for word in ("HttpOnly", "Secure", "SameSite=Strict"))
        async with session.post(address + "/signin", data=form,
                                headers={"Origin": "https://evil.example"}) as answer:
            assert answer.status == 403
        async with session.get(address + "/authority.crt") as answer:
            assert answer.status == 200
