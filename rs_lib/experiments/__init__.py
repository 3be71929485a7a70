"""Named experiments: one for each figure or table that needs a computation. No drawing here."""
