"""Optimizers for torch, made from rules."""

from .catalogue import *
from .catalogue import OPTIMIZERS as OPTIMIZERS
from .configured import Configured as Configured
from .divided import routed_groups as routed_groups
from .factory import create as create
from .groups import NO_DECAY as NO_DECAY
from .groups import ParamGroups as ParamGroups
from .groups import param_groups as param_groups
from .kinds import ModelParameter as ModelParameter
from .loading import joined_checkpoints as joined_checkpoints
from .making import build as build
from .making import optimizer as optimizer
from .making import wrap as wrap
from .optimizer import NonFiniteGradient as NonFiniteGradient
from .optimizer import Optimizer as Optimizer
from .plan import PlainOperationsWarning as PlainOperationsWarning
from .readouts import averaged as averaged
from .readouts import window as window
from .route import Route as Route
from .routing import Routing as Routing
from .routing import routed as routed
from .telemetry import Norms as Norms
from .telemetry import Telemetry as Telemetry
