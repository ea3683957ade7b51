//! A plan's send times as bytes. Gaps between them, seven bits a byte: three or four bytes a call.
//!
//! A shape and its parameters would be shorter, but every shape, trace and schedule file would then
//! have to be made anew on the other side. A call's record, which comes back, is thirty times as long.

use crate::drive::Assigned;

/// Calls in one frame, so that a frame stays below its limit: at most 16 bytes each.
pub(super) const CALLS_A_FRAME: usize = 1 << 20;

/// Calls as bytes: gaps to the time before (from `after_ns`), and endpoint and payload where they
/// are assigned.
pub(super) fn encode(after_ns: u64, times_ns: &[u64], assigned: &[Assigned]) -> Vec<u8> {
    let mut out = Vec::with_capacity(times_ns.len() * 4);
    let mut before_ns = after_ns;
    for (number, &at_ns) in times_ns.iter().enumerate() {
        put(&mut out, at_ns.saturating_sub(before_ns));
        before_ns = at_ns;
        if let Some(assigned) = assigned.get(number) {
            put(&mut out, one_more(assigned.endpoint));
            put(&mut out, one_more(assigned.payload));
        }
    }
    out
}

/// Adds the calls of a frame to those before it.
///
/// # Errors
/// If the bytes are no such calls.
pub(super) fn decode(
    bytes: &[u8],
    has_assigned: bool,
    times_ns: &mut Vec<u64>,
    assigned: &mut Vec<Assigned>,
) -> Result<(), String> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let gap_ns = take(&mut rest)?;
        let before_ns = times_ns.last().copied().unwrap_or(0);
        times_ns.push(before_ns.checked_add(gap_ns).ok_or(NONSENSE)?);
        if has_assigned {
            let (endpoint, payload) = (one_less(take(&mut rest)?)?, one_less(take(&mut rest)?)?);
            assigned.push(Assigned { endpoint, payload });
        }
    }
    Ok(())
}

const NONSENSE: &str = "the plan that came makes no sense";

fn one_more(index: Option<u16>) -> u64 {
    index.map_or(0, |index| u64::from(index) + 1)
}

fn one_less(code: u64) -> Result<Option<u16>, String> {
    match code.checked_sub(1) {
        None => Ok(None),
        Some(index) => u16::try_from(index).map(Some).map_err(|_| NONSENSE.to_owned()),
    }
}

/// Little-endian base 128 (as Protocol Buffers' varint): the high bit says that more follows.
fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take(rest: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first().ok_or(NONSENSE)?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(NONSENSE.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_decoded_is_what_was_encoded_frame_by_frame(
            times in prop::collection::vec(any::<u64>(), 0..60), with: bool, frame in 1usize..20,
            picks in prop::collection::vec((any::<Option<u16>>(), any::<Option<u16>>()), 60),
        ) {
            let mut times = times;
            times.sort_unstable();
            let picks = picks.into_iter().map(|(endpoint, payload)| Assigned { endpoint, payload });
            let assigned: Vec<Assigned> = if with { picks.take(times.len()).collect() } else { Vec::new() };
            let (mut back, mut assigned_back) = (Vec::new(), Vec::new());
            for (number, part) in times.chunks(frame).enumerate() {
                let from = number * frame;
                let own = if with { &assigned[from..from + part.len()] } else { &[][..] };
                let after = from.checked_sub(1).map_or(0, |last| times[last]);
                decode(&encode(after, part, own), with, &mut back, &mut assigned_back).unwrap();
            }
            prop_assert_eq!(back, times);
            prop_assert_eq!(assigned_back, assigned);
        }

        #[test]
        fn nonsense_is_refused_and_not_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..50), with: bool) {
            _ = decode(&bytes, with, &mut Vec::new(), &mut Vec::new());
        }
    }

    #[test]
    fn a_call_of_ten_thousand_a_second_takes_three_bytes() {
        let times: Vec<u64> = (0..1000).map(|i| i * 100_000).collect();
        assert!(encode(0, &times, &[]).len() <= 3000);
    }
}
