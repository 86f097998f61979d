"""Work that is spread over the workers of a Dask cluster, and tried again elsewhere where one of them dies."""
