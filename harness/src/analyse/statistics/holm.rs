//! Correction of p-values for the number of questions asked.

/// Holm's step-down adjustment: Holm, "A Simple Sequentially Rejective Multiple Test Procedure",
/// Scandinavian Journal of Statistics 6(2), 1979. In the order given; each at most 1. It bounds the
/// chance of any false claim, whatever the dependence between the questions.
pub fn adjust(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (step, &index) in order.iter().enumerate() {
        let still_open = (p_values.len() - step) as f64;
        largest = largest.max((still_open * p_values[index]).min(1.0));
        adjusted[index] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn four_p_values_by_hand() {
        // Sorted 0.005 0.01 0.03 0.04: times 4, 3, 2, 1 = 0.02 0.03 0.06 0.04, then never falling.
        let adjusted = adjust(&[0.01, 0.04, 0.03, 0.005]);
        for (got, wanted) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((got - wanted).abs() < 1e-12, "{adjusted:?}");
        }
        assert_eq!(adjust(&[0.2]), [0.2]);
        assert!(adjust(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn adjustment_keeps_the_order_and_lies_between_p_and_bonferroni(p in prop::collection::vec(0.0f64..=1.0, 1..12)) {
            let adjusted = adjust(&p);
            for (i, &a) in adjusted.iter().enumerate() {
                prop_assert!(a >= p[i] && a <= (p[i] * p.len() as f64).min(1.0) + 1e-12);
                for (j, &other) in adjusted.iter().enumerate() {
                    prop_assert!(p[i] >= p[j] || a <= other);
                }
            }
        }
    }
}
