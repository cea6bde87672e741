"""The validators that forebay brings along."""
