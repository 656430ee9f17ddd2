"""Finding likelihoods, ice and tables; what goes wrong there is said."""

from importlib.metadata import EntryPoint

import numpy as np
import pytest
from fake_scan import make_event

from daybreak.errors import ConfigError, EventError
from daybreak.neutrino.likelihood import FIT_DTYPE, Vertex, get_likelihood, jitter
from daybreak.neutrino.likelihood.ice import built_in_ice, default_ice, find_ice, layered_ice
from daybreak.neutrino.likelihood.known_models import GROUP


def test_unknown_names_and_options_are_refused():
    with pytest.raises(ConfigError, match="pandel-mpe"):
        get_likelihood("nothing")
    with pytest.raises(ConfigError, match="colour"):
        get_likelihood("dummy", colour=1)
    with pytest.raises(ConfigError, match="time resolution"):
        get_likelihood("pandel-mpe", sigma_ns=float("nan"))


def test_others_come_through_entry_points(monkeypatch):
    entries = {
        "site": EntryPoint("site", "daybreak.neutrino.likelihood.dummy:Dummy", GROUP),
        "broken": EntryPoint("broken", "no.such.module:thing", GROUP),
    }

    def found(*, group):
        assert group == GROUP
        return list(entries.values())

    monkeypatch.setattr("importlib.metadata.entry_points", found)
    prepared = get_likelihood("site", zenith_deg=10.0).prepare(make_event())
    assert prepared.info["zenith_deg"] == 10.0
    with pytest.raises(ConfigError, match="can't be loaded"):
        get_likelihood("broken")
    with pytest.raises(ConfigError, match="site"):
        get_likelihood("other")


def test_the_dummy_has_its_minimum_where_it_says():
    prepared = get_likelihood("dummy", zenith_deg=50.0, azimuth_deg=20.0).prepare(make_event())
    fit = prepared.fit(np.radians(50.0), np.radians(20.0), Vertex(1, 2, 3, 4))
    assert fit.llh == pytest.approx(0.0, abs=1e-9)
    assert fit.vertex == (1, 2, 3, 4)
    rows = prepared.fit_many(np.radians([50.5]), np.radians([20.0]), np.zeros((1, 2, 4)))
    assert rows.dtype == FIT_DTYPE
    assert rows["llh"][0] == pytest.approx(0.5, rel=1e-6)


def test_too_few_doms():
    with pytest.raises(EventError, match="3 DOMs"):
        event = make_event(3)
        get_likelihood("pandel-mpe", ice="built-in").prepare_pulses(event.pulses, event)


def test_info_names_the_ice_that_was_used(tmp_path, monkeypatch):
    monkeypatch.delenv("DAYBREAK_ICE", raising=False)
    monkeypatch.chdir(tmp_path)
    assert default_ice().name.startswith("built-in")
    table = "depth,scattering_len,absorption_len\n1500,20,100\n1600,30,110\n1700,40,120\n"
    (tmp_path / "own.csv").write_text(table)
    (tmp_path / "icecube-ice").mkdir()
    monkeypatch.setenv("DAYBREAK_ICE", str(tmp_path / "own.csv"))
    event = make_event()
    prepared = get_likelihood("pandel-mpe").prepare_pulses(event.pulses, event)
    assert prepared.info["ice"].startswith("own.csv (sha256 ")
    assert prepared.info["jitter_ns"] == 4.0
    ice = find_ice(tmp_path / "own.csv")
    row = round((1948.07 - 1600 - ice.z0_m) / 10)
    assert 1 / ice.table[row, 0] == pytest.approx(30, rel=0.05)


@pytest.mark.parametrize(
    "columns",
    [
        ([1, 2], [1, 2], [1]), ([2, 1], [1, 1], [1, 1]), ([1, 2], [0, 1], [1, 1]),
        ([1, 2], [1, np.nan], [1, 1]), ([1], [1], [1]), (["a", "b"], [1, 1], [1, 1]),
        ([1, 1e9], [1, 1], [1, 1]),
    ],
)  # fmt: skip
def test_bad_ice_is_refused(columns):
    with pytest.raises(EventError, match="depth"):
        layered_ice("bad", *columns)


def test_bad_ice_files_are_refused(tmp_path):
    with pytest.raises(EventError, match="no ice table"):
        find_ice(tmp_path / "none.csv")
    for name, content in (("a.csv", b"depth,x\n1,2\n"), ("b.parquet", b"PAR1 nonsense"),
                          ("c.csv", b"\x00\xff"), ("d.csv", b"")):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        with pytest.raises(EventError, match="ice table"):
            find_ice(tmp_path / name)


def test_built_in_ice_has_its_dust_layer_at_two_kilometres():
    ice = built_in_ice()
    depth = 1948.07 - (ice.z0_m + 10.0 * np.arange(len(ice.table)))
    assert 2000 < depth[np.argmax(ice.table[:, 0])] < 2100


def test_a_damaged_table_is_made_again_and_a_full_disk_is_no_error(tmp_path, monkeypatch):
    made = []

    def build():
        made.append(1)
        return np.ones((jitter.N_XI_G + 2, jitter.N_V + 2)), np.ones(
            (jitter.N_EPS + 2, jitter.N_XI_S + 2, jitter.N_W + 2)
        )

    monkeypatch.setattr(jitter, "build", build)
    monkeypatch.setenv("DAYBREAK_CACHE", str(tmp_path / "cache"))
    fresh = jitter.tables.__wrapped__
    assert fresh().log_g.dtype == np.float32
    assert fresh().log_s.shape == (jitter.N_EPS + 2, jitter.N_XI_S + 2, jitter.N_W + 2)
    assert len(made) == 1  # the second call found the file
    (file,) = (tmp_path / "cache").iterdir()
    for damage in (b"", b"nonsense", file.read_bytes()[:-7]):
        file.write_bytes(damage)
        before = len(made)
        fresh()
        assert len(made) == before + 1
    (tmp_path / "taken").write_text("a file, no folder")
    monkeypatch.setenv("DAYBREAK_CACHE", str(tmp_path / "taken"))
    assert np.all(fresh().log_g == 1)
