"""The store: what waits for a person, what is known of killers, who asked for what. Never in the way of mail."""
