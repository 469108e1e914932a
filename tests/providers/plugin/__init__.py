"""What the stand-in plugins share: the engine's wire, its values, its screen, and how a plugin is served and chosen."""
