"""What an edit did and what it broke: measures, judges, intervals."""
