"""The numeric core of the repair: from a failing formula to formulas with the exact value."""
