"""Reads a store beside its owner, as told line by line; run as a process of its own."""

import sys
from pathlib import Path

import msgspec

from edge.cache.reader import StoreReader
from edge.errors import StoreError
from edge.node_key import NodeKey
from tests.fakes import city


def main(folder: str) -> None:
    reader = StoreReader(Path(folder), NodeKey(bytes([9] * 32)).derive)
    for line in sys.stdin:
        what, _, name = line.strip().partition(" ")
        if what == "standing":
            said = reader.standing(city.id_of(name))
        elif what == "epochs":
            said = [item.key_epoch for item in reader.epochs()]
        elif what == "reopen":
            said = reader.reopen()
        else:
            try:
                said = reader._env.write(
                    lambda txn: txn.put(b"a", b"b", db=reader._env.tables[b"status"]))
            except StoreError:
                said = "refused"
        print(msgspec.json.encode(said).decode(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
