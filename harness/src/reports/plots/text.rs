//! How wide text is, from the embedded font's own widths, so that labels can be laid out without overlap.

/// Advance widths of DejaVu Sans for the characters from space to tilde, thousandths of the font size.
const WIDTHS: [u16; 95] = [
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, //
    636, 636, 636, 636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531, //
    1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863, 748, 787, //
    603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500, //
    500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612, //
    635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838,
];

/// Width of any other character: that of a wide one, so that an error leaves a gap and no overlap.
const OTHER: u16 = 838;

/// Width of a line of text, in the unit of `size`.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let one = |c: char| {
        let at = (c as usize).checked_sub(32);
        u32::from(at.and_then(|at| WIDTHS.get(at)).copied().unwrap_or(OTHER))
    };
    f64::from(text.chars().map(one).sum::<u32>()) * size / 1000.0
}

/// Cuts text to a width, in the middle, where names differ least.
pub(super) fn shortened(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let chars: Vec<char> = text.chars().collect();
    for kept in (1..chars.len()).rev() {
        let (head, tail) = (kept - kept / 2, kept / 2);
        let short: String = chars[..head].iter().chain(&['…']).chain(&chars[chars.len() - tail..]).collect();
        if width(&short, size) <= room {
            return short;
        }
    }
    "…".to_owned()
}

/// Breaks text into lines of at most this width; a word that is wider is shortened.
pub(super) fn wrapped(text: &str, size: f64, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(&format!("{line} {word}"), size) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(shortened(word, size, room)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn widths_are_those_of_the_embedded_font() {
        // 'Wi' of DejaVu Sans: 0.989 em + 0.278 em.
        assert!((width("Wi", 100.0) - 126.7).abs() < 1e-9);
        assert_eq!(shortened("knative-with-a-very-long-name-2", 10.0, 90.0), "knative…-name-2");
    }

    proptest! {
        #[test]
        fn lines_fit_and_keep_their_words(text in "[a-z]{1,8}( [a-z]{1,8}){0,30}", room in 80.0..400.0_f64) {
            let lines = wrapped(&text, 10.0, room);
            prop_assert!(lines.iter().all(|line| width(line, 10.0) <= room));
            prop_assert_eq!(lines.join(" "), text);
        }
    }
}
