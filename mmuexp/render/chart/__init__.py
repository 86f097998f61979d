"""Charts by Vega-Lite."""
