//! A function that does nothing: what it costs to call it is the platform's own cost. It answers with
//! the number of bytes that came and a checksum of them, so that every answer can be checked.

use serde_json::{Map, Value, json};

use super::{Answer, Input, Query, Stopwatch, Workload, WorkloadError};

/// Its name, as `WORKLOAD` spells it.
pub const NAME: &str = "null";

/// Does nothing.
#[derive(Debug, Default)]
pub struct Null;

impl Workload for Null {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> Map<String, Value> {
        Map::new()
    }

    fn warm_up(&self) -> Result<(), WorkloadError> {
        Ok(())
    }

    fn handle(&self, input: &Input, _query: &Query) -> Result<Answer, WorkloadError> {
        let mut watch = Stopwatch::start();
        let checksum = checksum(&input.body);
        watch.lap("checksum");
        let mut body = Map::new();
        body.insert("bytes".into(), json!(input.body.len()));
        body.insert("checksum".into(), json!(format!("{checksum:016x}")));
        Ok(Answer { body, stages: watch.stages(), ..Answer::default() })
    }
}

/// FNV-1a (Fowler, Noll and Vo) over 64-bit words, the first byte lowest, the last word filled with
/// zeros: less than a millisecond for 4 MiB.
fn checksum(input: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |word: u64| hash = (hash ^ word).wrapping_mul(0x0100_0000_01b3);
    let (words, rest) = input.as_chunks::<8>();
    for word in words {
        add(u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        add(u64::from_le_bytes(last));
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_names_length_and_checksum_of_what_came() {
        let answer = Null.handle(&Input::from(b"testbeds!".as_slice()), &Query::default()).unwrap();
        assert_eq!(answer.body["bytes"], 9);
        assert_eq!(answer.body["checksum"], "9775a3571affdde6");
        assert_eq!(answer.stages[0].0, "checksum");
    }

    #[test]
    fn a_changed_byte_or_a_changed_length_changes_the_checksum() {
        assert_eq!(checksum(b""), 0xcbf2_9ce4_8422_2325);
        assert_ne!(checksum(b"12345678"), checksum(b"12345679"));
        assert_ne!(checksum(b"12345678a"), checksum(b"12345678b"));
        assert_ne!(checksum(b"1234567812345678"), checksum(b"8765432112345678"));
    }
}
