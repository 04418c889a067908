"""For tests, demonstrations and plug-in authors: generated histories whose truth is known."""
