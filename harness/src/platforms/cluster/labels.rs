//! The labels that whatever a run creates carries, and by which `harness clean` finds it.

use std::collections::BTreeMap;

/// Says that the testbed made it.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "serverless-testbed");
/// Says which run made it.
pub const RUN: &str = "testbed/run";

/// Name of a run, fit for a label's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLabel(String);

impl RunLabel {
    /// Makes a label value of a run's name: at most 63 characters, letters and digits at both ends.
    pub fn new(run: &str) -> Self {
        let fit = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
        let text: String = run.chars().map(fit).take(63).collect();
        let text = text.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        Self(if text.is_empty() { "run".to_owned() } else { text.to_owned() })
    }

    /// The value.
    pub fn value(&self) -> &str {
        &self.0
    }

    /// Both labels.
    pub fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned()), (RUN.to_owned(), self.0.clone())])
    }

    /// Selects what this run made.
    pub fn selector(&self) -> String {
        format!("{},{RUN}={}", any_run(), self.0)
    }
}

/// Selects what any run made.
pub fn any_run() -> String {
    format!("{}={}", MANAGED_BY.0, MANAGED_BY.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_name_becomes_a_label_value() {
        assert_eq!(RunLabel::new("20261121-0410-knative-openfaas").value(), "20261121-0410-knative-openfaas");
        assert_eq!(RunLabel::new("my run/é!").value(), "my-run");
        assert_eq!(RunLabel::new("--").value(), "run");
        assert_eq!(RunLabel::new(&"x".repeat(80)).value().len(), 63);
        assert_eq!(
            RunLabel::new("a").selector(),
            "app.kubernetes.io/managed-by=serverless-testbed,testbed/run=a"
        );
    }
}
