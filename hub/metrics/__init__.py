"""The journal's figures as Prometheus reads them, and the door at which it does (`doors: {metrics: …}`)."""
