"""Nothing of a file from outside is unpickled."""

from __future__ import annotations

import pickle

import pytest

from daybreak.instruments.check.report import check_files
from daybreak.products.hdf5 import tables_without_pickle

pytest.importorskip("tables")


class Bomb:
    """Its pickle makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_an_attribute_that_is_a_pickle_stays_bytes(tmp_path):
    tables = tables_without_pickle()
    mark, path = tmp_path / "mark", tmp_path / "bomb.h5"
    content = pickle.dumps(Bomb(str(mark)), protocol=0)
    assert content.endswith(b".")
    with tables.open_file(str(path), "w") as file:
        for node in (file.root, file.create_table("/dl1", "t", {"x": tables.Int32Col()},
                                                  createparents=True)):  # fmt: skip
            for name in ("TITLE", "CTA PRODUCT DATA MODEL NAME", "OTHER"):
                node._v_attrs._g_setattr(node, name, __import__("numpy").bytes_(content))
    check_files([path])
    with tables.open_file(str(path)) as file:
        for node in file.walk_nodes("/"):
            for name in node._v_attrs._f_list("all"):
                _ = node._v_attrs[name]
    assert not mark.exists()
    pickle.loads(content).close()
    assert mark.exists(), "it would have gone off"
