"""Face packs: detect, align, embed, compare."""
