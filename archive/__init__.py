"""archive: the event log as Parquet files, each event once, whatever is killed."""
