"""What Alembic runs: the migrations, on the connection that `forebay.store.migrate` hands it."""

from __future__ import annotations

from alembic import context

from forebay.store.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
