"""How a result looks: words and tables here; terminal/, html/ and chart/ are the media."""
