"""What keeps a worker within limits: cgroup v2, else cgroup v1, else rlimits and polling."""
