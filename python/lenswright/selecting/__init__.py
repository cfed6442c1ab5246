"""Which of many directions to take: candidates tried, scored, chosen."""
