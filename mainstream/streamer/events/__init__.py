"""Events: from what apps say of frames to pictures on disk, MQTT messages and webhooks."""
