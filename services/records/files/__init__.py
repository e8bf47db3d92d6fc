"""Files of SMBs, read piece by piece as they arrive: never whole in memory, never trusted.

* `encodings`: which encoding a file has, and its text
* `delimited`: rows of CSV, whatever their delimiter
* `documents`: rows of JSON, as an array or as lines
* `columns`: which column is which field; columns as lists of checked values
* `cells`: what one cell may hold, by the same types as a single write
* `reading`: these together: bytes in, checked rows and refused rows out
* `errors`: why a file is refused as a whole
"""
