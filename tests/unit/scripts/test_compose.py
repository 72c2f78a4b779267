"""What the test of compose.yaml needs: asked for only where that test could run at all."""

from scripts import compose
from scripts.engine import Engine


def test_without_an_engine_nothing_is_installed(tmp_path):
    found = compose.see_to(Engine(usable=False, sentence="none"), log=tmp_path / "log")
    assert not found.usable
    assert not (tmp_path / "log").exists()


def test_an_engine_without_networks_is_not_enough(tmp_path):
    engine = Engine(usable=True, networks=False, sentence="Docker")
    found = compose.see_to(engine, log=tmp_path / "log")
    assert (found.usable, str(found)) == (False, "none: the Docker engine has no networks")


def test_without_root_base_images_cannot_be_made(tmp_path, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    engine = Engine(usable=True, networks=True, sentence="Docker")
    found = compose.see_to(engine, log=tmp_path / "log")
    assert (found.usable, str(found)) == (False, "none: debootstrap needs root")
