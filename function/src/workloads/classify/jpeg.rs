//! Whether a JPEG file is whole. The decoder fills what is missing with grey and says nothing,
//! but half a picture must not be answered as if it were one.

const START_OF_SCAN: u8 = 0xDA;
const END_OF_IMAGE: u8 = 0xD9;

/// Whether the end-of-image marker comes after the segments and scans (ITU-T T.81, annex B).
/// Markers inside segments, such as those of an embedded thumbnail, do not count.
pub fn is_complete(file: &[u8]) -> bool {
    // After the start-of-image marker.
    let mut rest = file.get(2..).unwrap_or_default();
    let mut in_scan = false;
    loop {
        // In a scan, anything up to the next marker is picture data.
        let Some(at) = rest.iter().position(|&byte| byte == 0xFF) else {
            return false;
        };
        let Some((&marker, after)) = rest[at + 1..].split_first() else {
            return false;
        };
        match marker {
            END_OF_IMAGE => return true,
            // A fill byte: the marker's code comes later.
            0xFF => rest = &rest[at + 1..],
            // A stuffed byte of picture data, restart markers, TEM: no segment follows.
            0x00 | 0x01 | 0xD0..=0xD8 => rest = after,
            _ => {
                let &[high, low, ..] = after else {
                    return false;
                };
                // Between the segments of a damaged scan, a length may be nonsense: then look
                // for the next marker, as decoders do.
                let length = usize::from(u16::from_be_bytes([high, low]));
                match after.get(length..) {
                    Some(following) => rest = following,
                    None if in_scan => rest = after,
                    None => return false,
                }
                in_scan |= marker == START_OF_SCAN;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: [u8; 2] = [0xFF, 0xD8];
    // Its payload holds an end-of-image marker, as a thumbnail's would.
    const THUMBNAIL: [u8; 6] = [0xFF, 0xE1, 0, 4, 0xFF, 0xD9];
    const SCAN: [u8; 4] = [0xFF, 0xDA, 0, 2];
    const DATA: [u8; 7] = [1, 0xFF, 0x00, 2, 0xFF, 0xD0, 3];
    const END: [u8; 2] = [0xFF, 0xD9];

    fn file(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn a_file_with_its_end_marker_is_complete() {
        assert!(is_complete(&file(&[&START, &THUMBNAIL, &SCAN, &DATA, &END])));
        assert!(is_complete(&file(&[&START, &SCAN, &DATA, &SCAN, &DATA, &END, b"trailing bytes"])));
        assert!(is_complete(&file(&[&START, &SCAN, &DATA, &[0xFF, 0xFF, 0xD9]])));
    }

    #[test]
    fn every_proper_prefix_of_it_is_not() {
        let whole = file(&[&START, &THUMBNAIL, &SCAN, &DATA, &SCAN, &DATA, &END]);
        for length in 0..whole.len() {
            assert!(!is_complete(&whole[..length]), "{length} of {} bytes", whole.len());
        }
    }
}
