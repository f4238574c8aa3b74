//! Control groups: where containers are accounted, on v1 and v2.
