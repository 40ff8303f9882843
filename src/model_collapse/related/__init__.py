"""What is confused with model collapse, in experiments small enough to run on a page.

Model drift and performative prediction take the loop of this book as it is and move the people in it
(`model_collapse.related.worlds`). Mode collapse happens inside one fit to human data (`model_collapse.related.ring`),
catastrophic forgetting when a network goes on to other human data (`model_collapse.related.digits`).
"""

from .digits import Learning, forgetting
from .ring import MODES, Ring, mode_collapse
from .worlds import RULES, WORLDS, courses

__all__ = ["MODES", "RULES", "WORLDS", "Learning", "Ring", "courses", "forgetting", "mode_collapse"]
