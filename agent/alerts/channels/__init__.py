"""The ways to tell people: one file each. `build` makes them from the settings."""
