"""The record: claims ledger, figures, published numbers, chapter runner. It knows no model."""
