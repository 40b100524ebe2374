"""Judges signed heads and proofs of a tenant's audit trail by the files alone: the journal is read as
the book describes it, the tree is made by pymerkle, signatures are checked by cryptography.

    pymerkle_judge.py JOURNAL-FOLDER HEADS-FILE PROOFS-FILE
"""
import base64, hashlib, json, struct, sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pymerkle import InmemoryTree

journal, heads_file, proofs_file = (Path(a) for a in sys.argv[1:4])
heads = [json.loads(line) for line in heads_file.read_text().splitlines()]
tenant = bytes.fromhex(heads[0]["origin"].removeprefix("insula/"))

leaves = []
for segment in sorted(journal.glob("*.seg")):
    data = segment.read_bytes()
    assert data[:8] == b"IJSEG1\0\0"
    (count,) = struct.unpack_from("<Q", data, 16)
    at = 24 + count * 56 + 32
    while data[at : at + 4] == b"IJ1\0":
        (sealed,) = struct.unpack_from("<I", data, at + 4)
        frame = data[at : at + 76 + sealed]
        if frame[8:24] == tenant:
            leaves.append(frame)
        at += len(frame)

tree = InmemoryTree(algorithm="sha256")
for leaf in leaves:
    tree.append_entry(leaf)

for head in heads:
    text = "\n".join([head["origin"], str(head["size"]), head["root"], head["at"], ""])
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(head["key"]))
    key.verify(base64.b64decode(head["signature"]), text.encode())
    assert tree.get_state(head["size"]) == base64.b64decode(head["root"]), head


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def grows(first, second, first_root, second_root, path):
    """RFC 9162, section 2.1.4.2."""
    if first == second:
        return not path and first_root == second_root
    if first & (first - 1) == 0:
        path = [first_root] + path
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(c, fr), node(c, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == first_root and sr == second_root


inclusions = growths = 0
for proof in json.loads(proofs_file.read_text()):
    root, path = base64.b64decode(proof["root"]), [base64.b64decode(p) for p in proof["path"]]
    assert tree.get_state(proof["size"]) == root
    if "leaf" in proof:
        leaf = base64.b64decode(proof["leaf"])
        assert leaf == leaves[proof["index"]]
        wanted = tree.prove_inclusion(proof["record"], proof["size"])
        assert wanted.resolve() == root
        assert [hashlib.sha256(b"\0" + leaf).digest()] + path == wanted.path, proof["record"]
        inclusions += 1
    else:
        first = base64.b64decode(proof["fromRoot"])
        assert tree.get_state(proof["from"]) == first
        assert grows(proof["from"], proof["size"], first, root, path), proof
        assert not grows(proof["from"], proof["size"], root, first, path) or first == root
        growths += 1
print(len(leaves), len(heads), inclusions, growths)
