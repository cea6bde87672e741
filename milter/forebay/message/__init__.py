"""Bytes in, facts out: fields, envelope, the grammar of the RFCs. Knows nothing of the rest of forebay."""
