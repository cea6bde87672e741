"""What `milter/quickstart` and the tests run on: a Postfix of their own, a raw SMTP client, and the show."""
