"""Prompts that every generation continues, so that its answers can be held side by side. The words are our own."""

__all__ = ["PROMPTS"]

PROMPTS = (
    "The masons who raised the towers of parish churches before the middle of the fourteenth century seldom signed "
    "their work , and what is known of them comes from accounts of what they were paid . In the west of the county ,",
    "The river rises in the hills north of the town and runs through a narrow valley , where it was dammed in the "
    "nineteenth century . Its water",
    "After two seasons in the second division the club appointed a new manager , who promised",
    "The album was recorded in eleven days and released in the spring . Critics",
    "During the war the ship escorted convoys across the Atlantic until she was",
)
