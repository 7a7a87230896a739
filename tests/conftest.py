"""Two threads on shared cores wait for each other far longer than one works alone."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
