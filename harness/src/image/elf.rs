//! What is read from an ELF file's headers, and the removal of its symbols.
//!
//! Layout after the System V ABI, "ELF Header" and "Program Header", 64 bit, little endian.

const TYPE_EXECUTABLE: u16 = 2;
const TYPE_SHARED: u16 = 3;
const SEGMENT_INTERPRETER: u32 = 3;
const HEADER_BYTES: usize = 64;
const SEGMENT_BYTES: usize = 56;

/// What an image must know of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Elf {
    /// Architecture as OCI names it.
    pub architecture: &'static str,
    /// Whether it needs a dynamic loader, and so libraries.
    pub dynamic: bool,
    /// Where the last byte that is loaded lies in the file, exclusive.
    loaded_end: usize,
}

impl Elf {
    /// Reads the headers.
    ///
    /// # Errors
    /// What is wrong with the file, to be put after its name.
    pub(super) fn parse(file: &[u8]) -> Result<Self, String> {
        if file.get(..4) != Some(b"\x7fELF") {
            return Err("is not a Linux program (no ELF header)".into());
        }
        if file.get(4..6) != Some(&[2, 1]) {
            return Err("is not a 64-bit little-endian program".into());
        }
        let short = || "is cut off: its headers point outside of it".to_string();
        let kind = u16_at(file, 16).ok_or_else(short)?;
        if kind != TYPE_EXECUTABLE && kind != TYPE_SHARED {
            return Err("is an ELF file, but no program".into());
        }
        let architecture = match u16_at(file, 18).ok_or_else(short)? {
            62 => "amd64",
            183 => "arm64",
            243 => "riscv64",
            other => return Err(format!("is for an unknown processor (ELF machine {other})")),
        };
        let table = usize_at(file, 32).ok_or_else(short)?;
        let count = usize::from(u16_at(file, 56).ok_or_else(short)?);
        let mut loaded_end = count
            .checked_mul(SEGMENT_BYTES)
            .and_then(|bytes| bytes.checked_add(table))
            .ok_or_else(short)?
            .max(HEADER_BYTES);
        let mut dynamic = false;
        for n in 0..count {
            let segment = file.get(table + n * SEGMENT_BYTES..).ok_or_else(short)?;
            dynamic |= u32_at(segment, 0).ok_or_else(short)? == SEGMENT_INTERPRETER;
            let offset = usize_at(segment, 8).ok_or_else(short)?;
            let bytes = usize_at(segment, 32).ok_or_else(short)?;
            loaded_end = loaded_end.max(offset.checked_add(bytes).ok_or_else(short)?);
        }
        if loaded_end > file.len() {
            return Err(short());
        }
        Ok(Self { architecture, dynamic, loaded_end })
    }

    /// Cuts symbols and debug information off: everything that no segment loads. The kernel reads
    /// segments alone, so the program runs as before; only backtraces lose their names.
    pub(super) fn strip(&self, file: &mut Vec<u8>) {
        file.truncate(self.loaded_end);
        // No section headers any more: their offset, then their number and the names' section.
        file[40..48].fill(0);
        file[60..64].fill(0);
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn usize_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?)).ok()
}

/// A made-up program of one loaded segment with this content, and with symbols behind it.
#[cfg(test)]
pub(super) fn sample(machine: u16, dynamic: bool, content: &[u8], symbols: &[u8]) -> Vec<u8> {
    let mut file = vec![0; HEADER_BYTES];
    file[..6].copy_from_slice(b"\x7fELF\x02\x01");
    file[16..18].copy_from_slice(&TYPE_SHARED.to_le_bytes());
    file[18..20].copy_from_slice(&machine.to_le_bytes());
    file[32..40].copy_from_slice(&(HEADER_BYTES as u64).to_le_bytes());
    file[56..58].copy_from_slice(&1_u16.to_le_bytes());
    let start = HEADER_BYTES + SEGMENT_BYTES;
    let mut segment = vec![0; SEGMENT_BYTES];
    let kind: u32 = if dynamic { SEGMENT_INTERPRETER } else { 1 };
    segment[..4].copy_from_slice(&kind.to_le_bytes());
    segment[8..16].copy_from_slice(&(start as u64).to_le_bytes());
    segment[32..40].copy_from_slice(&(content.len() as u64).to_le_bytes());
    file.extend(segment);
    file.extend(content);
    let sections = file.len() as u64;
    file[40..48].copy_from_slice(&sections.to_le_bytes());
    file[60..62].copy_from_slice(&1_u16.to_le_bytes());
    file.extend(symbols);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_its_headers() {
        let elf = Elf::parse(&sample(62, false, b"code", b"symbols")).unwrap();
        assert_eq!((elf.architecture, elf.dynamic), ("amd64", false));
        let elf = Elf::parse(&sample(183, true, b"/lib/ld.so", b"")).unwrap();
        assert_eq!((elf.architecture, elf.dynamic), ("arm64", true));
    }

    #[test]
    fn what_is_no_program_is_said_to_be_none() {
        assert!(Elf::parse(b"#!/bin/sh\n").unwrap_err().contains("no ELF header"));
        assert!(Elf::parse(b"\x7fELF\x02\x01").unwrap_err().contains("cut off"));
        assert!(Elf::parse(&sample(8, false, b"", b"")).unwrap_err().contains("unknown processor"));
        let mut cut = sample(62, false, b"0123456789", b"");
        cut.truncate(cut.len() - 5);
        assert!(Elf::parse(&cut).unwrap_err().contains("cut off"));
    }

    #[test]
    fn stripping_leaves_what_is_loaded_and_nothing_else() {
        let mut file = sample(62, false, b"code", b"symbols");
        Elf::parse(&file).unwrap().strip(&mut file);
        assert!(file.ends_with(b"code"));
        assert_eq!(usize_at(&file, 40), Some(0));
        let again = Elf::parse(&file).unwrap();
        assert_eq!(again.loaded_end, file.len());
        let mut twice = file.clone();
        again.strip(&mut twice);
        assert_eq!(twice, file);
    }

    #[test]
    fn programs_that_differ_in_symbols_alone_are_the_same_when_stripped() {
        let strip = |mut file: Vec<u8>| {
            Elf::parse(&file).unwrap().strip(&mut file);
            file
        };
        assert_eq!(
            strip(sample(62, false, b"code", b"/home/a")),
            strip(sample(62, false, b"code", b"/home/bob"))
        );
        assert_ne!(strip(sample(62, false, b"code", b"")), strip(sample(62, false, b"cofe", b"")));
    }

    proptest::proptest! {
        #[test]
        fn no_input_makes_the_parser_panic(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            for (at, byte) in b"\x7fELF\x02\x01".iter().enumerate().take(bytes.len()) { bytes[at] = *byte; }
            if bytes.len() > 20 { bytes[16] = 2; bytes[17] = 0; bytes[18] = 62; bytes[19] = 0; }
            let _ = Elf::parse(&bytes);
        }
    }
}
