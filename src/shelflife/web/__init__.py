"""Pages: what `shelflife.views` knows, for people who are signed in."""
