//! The log of a container: records in order of arrival.
//!
//! A record is a 13-byte head (1 byte stream, 8 bytes Unix time in nanoseconds, 4 bytes length, both
//! little endian), then that many bytes as they were read from the stream.

/// Length of a record's head.
pub const HEAD: usize = 13;

/// Standard output (a terminal's output too).
pub const STDOUT: u8 = 1;

/// Standard error.
pub const STDERR: u8 = 2;

/// Encodes the head of a record.
pub fn head(stream: u8, unix_nanos: i64, len: u32) -> [u8; HEAD] {
    let mut h = [0; HEAD];
    h[0] = stream;
    h[1..9].copy_from_slice(&unix_nanos.to_le_bytes());
    h[9..13].copy_from_slice(&len.to_le_bytes());
    h
}

/// Decodes the head of a record: stream, Unix time in nanoseconds, length. `None`: not a head.
pub fn parse_head(h: &[u8]) -> Option<(u8, i64, u32)> {
    let h: &[u8; HEAD] = h.get(..HEAD)?.try_into().ok()?;
    if h[0] != STDOUT && h[0] != STDERR {
        return None;
    }
    let time = i64::from_le_bytes(h[1..9].try_into().ok()?);
    Some((h[0], time, u32::from_le_bytes(h[9..13].try_into().ok()?)))
}
