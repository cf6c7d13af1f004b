"""Diagnostics as Lightning callbacks; import them as `qstar_pl.callbacks`."""

if __name__ != "qstar_pl.callbacks":
    raise ImportError("import the callbacks as qstar_pl.callbacks: this folder is the package's own, through a link")
