"""`dms rollout`: a rollout as its people meet it. They see where it stands, and say how it goes on."""
