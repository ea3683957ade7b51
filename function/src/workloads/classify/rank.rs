//! From logits to the most likely classes.

use std::cmp::Ordering;

/// The `top` most likely classes, likeliest first, as (class, confidence); equals in class order.
///
/// The confidence is the softmax over all outputs, those before `class_offset` (a background
/// class) included; computed relative to the largest logit, so that nothing overflows.
pub fn top_classes(logits: &[f32], class_offset: usize, top: usize) -> Vec<(usize, f64)> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |logit: f32| f64::from(logit - largest).exp();
    let sum: f64 = logits.iter().map(|&logit| weight(logit)).sum();

    let mut ranked: Vec<(usize, f32)> = logits.iter().copied().skip(class_offset).enumerate().collect();
    let order =
        |a: &(usize, f32), b: &(usize, f32)| -> Ordering { b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)) };
    if top < ranked.len() {
        // Sorting a thousand classes for the sake of five would be waste.
        ranked.select_nth_unstable_by(top, order);
        ranked.truncate(top);
    }
    ranked.sort_unstable_by(order);
    ranked.into_iter().map(|(class, logit)| (class, to_seven_decimals(weight(logit) / sum))).collect()
}

/// A single-precision model has no more than seven digits to give.
fn to_seven_decimals(confidence: f64) -> f64 {
    (confidence * 1e7).round() / 1e7
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn confidences_are_the_softmax() {
        // e^0 : e^ln2 : e^ln5 = 1 : 2 : 5
        let logits = [0.0, 2.0_f32.ln(), 5.0_f32.ln()];
        assert_eq!(top_classes(&logits, 0, 3), [(2, 0.625), (1, 0.25), (0, 0.125)]);
    }

    #[test]
    fn the_background_takes_its_share_but_is_no_class() {
        let logits = [5.0_f32.ln(), 0.0, 2.0_f32.ln()];
        assert_eq!(top_classes(&logits, 1, 2), [(1, 0.25), (0, 0.125)]);
    }

    #[test]
    fn equals_come_in_class_order() {
        assert_eq!(top_classes(&[1.0; 4], 0, 2), [(0, 0.25), (1, 0.25)]);
    }

    #[test]
    fn large_logits_do_not_overflow() {
        assert_eq!(top_classes(&[1000.0, -1000.0], 0, 2), [(0, 1.0), (1, 0.0)]);
    }

    proptest! {
        #[test]
        fn the_top_is_the_head_of_the_whole_ranking(
            logits in prop::collection::vec(-20.0_f32..20.0, 2..60),
            offset in 0_usize..2,
            top in 1_usize..60,
        ) {
            let all = top_classes(&logits, offset, logits.len());
            let classes = logits.len() - offset;
            prop_assert_eq!(all.len(), classes);
            let head = top_classes(&logits, offset, top);
            prop_assert_eq!(&head[..], &all[..top.min(classes)]);
            prop_assert!(all.windows(2).all(|pair| pair[0].1 >= pair[1].1));
            let sum: f64 = all.iter().map(|(_, confidence)| confidence).sum();
            prop_assert!(sum <= 1.0 + 1e-5);
            if offset == 0 {
                prop_assert!((sum - 1.0).abs() < 1e-5);
            }
        }
    }
}
