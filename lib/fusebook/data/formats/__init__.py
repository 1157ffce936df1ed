"""What a table file is made of: its kind by its first bytes, its encoding, and its lines, JSON values or Parquet columns."""
