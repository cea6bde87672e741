"""The sidecar: keeps a router within limits, knows which message killed a worker, and moves that message aside."""
