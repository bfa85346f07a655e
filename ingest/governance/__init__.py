"""What is known about AI systems beside their telemetry: inventory, reviews, releases, incidents, surveys and decisions."""
