"""How every figure of this project looks and is written; matplotlib is loaded when the first one is drawn."""

from qstar_pl.figures.axes import finite_points as finite_points
from qstar_pl.figures.axes import legend_below as legend_below
from qstar_pl.figures.axes import note as note
from qstar_pl.figures.axes import plain as plain
from qstar_pl.figures.axes import ratio_axis as ratio_axis
from qstar_pl.figures.axes import shade as shade
from qstar_pl.figures.axes import title as title
from qstar_pl.figures.canvas import drawn as drawn
from qstar_pl.figures.formats import FORMATS as FORMATS
from qstar_pl.figures.formats import check_suffix as check_suffix
from qstar_pl.figures.style import LineStyle as LineStyle
from qstar_pl.figures.style import line_style as line_style
from qstar_pl.figures.units import with_unit as with_unit
