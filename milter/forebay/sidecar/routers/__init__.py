"""The built-in router adapters: one file each, which imports forebay.api.router and nothing else of forebay."""
