"""What stands behind `qstar_pl.cli`: Lightning's command line, its defaults, run folders and one-line errors."""
