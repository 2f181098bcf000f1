"""The size of a signal and of its gradient in every layer, predicted before any training.

``MeanField("sigmoid").chi(q)`` is the factor by which each layer multiplies the squared gradient,
``critical_point("gelu")`` the initialization that preserves it; ``predicted`` and ``measured``
compare theory with a network.  It only needs f and f'.  docs/propagation.md explains it.
"""

from minidl.propagation.batch_norm import batch_norm_factor, residual_growth
from minidl.propagation.criticality import (
    Critical,
    critical,
    critical_point,
    critical_points,
    edge_of_chaos,
)
from minidl.propagation.factors import LayerFactors, layer_factors
from minidl.propagation.mean_field import FixedPoint, MeanField, depth_scale
from minidl.propagation.network import Signals, measured, predicted

__all__ = [
    "Critical",
    "FixedPoint",
    "LayerFactors",
    "MeanField",
    "Signals",
    "batch_norm_factor",
    "critical",
    "critical_point",
    "critical_points",
    "depth_scale",
    "edge_of_chaos",
    "layer_factors",
    "measured",
    "predicted",
    "residual_growth",
]
