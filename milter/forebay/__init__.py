"""forebay: keeps malformed mail from killing a mail router."""
