"""The orchestrator: plans, builds, proves and publishes images of embedding services."""
