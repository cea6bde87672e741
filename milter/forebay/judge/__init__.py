"""From a header to a verdict: discovery of plugins, the runner, presets and exemptions."""
