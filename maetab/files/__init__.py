"""What is on disk: tables in text and Parquet, the text of their cells, model files."""
