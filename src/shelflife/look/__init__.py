"""How Shelflife looks: ink, words, charts, the label and the page, with no knowledge of what they show."""
