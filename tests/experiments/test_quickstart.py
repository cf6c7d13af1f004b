from seed_results import result

from qstar_pl.experiments.quickstart import save_figure


def test_figure_is_a_picture(tmp_path):
    save_figure([result(0, 0, 1), result(1, 0, 1)], tmp_path / "new" / "figure.png")
    assert (tmp_path / "new" / "figure.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
