//! The small captioner that the project ships, `models/captioner`, as part of the program, so that captions
//! need no download. Whatever does not use it does not carry it.

include!(concat!(env!("OUT_DIR"), "/captioner.rs"));

/// One of its files; none if it has no such file.
pub fn file(name: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}
