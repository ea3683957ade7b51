//! Manifests as YAML, as kubectl and faas-cli read them.

use serde_json::Value;

/// One document a value. Strings that YAML 1.1 or 1.2 would read as something else are quoted.
///
/// # Errors
/// If a value cannot be written.
pub fn documents(values: &[Value]) -> Result<String, serde_saphyr::ser::Error> {
    // Never folded: a folded line is read back with other spaces by some readers.
    let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
    let texts: Result<Vec<String>, _> =
        values.iter().map(|value| serde_saphyr::to_string_with_options(value, options.clone())).collect();
    Ok(texts?.join("---\n"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn strings_that_would_read_as_something_else_are_quoted() {
        let value = json!({ "a": "true", "b": "no", "c": "1e3", "d": "0", "e": "two\nlines\n", "f": [], "g": {},
            "h": ["x", { "i": 1, "j": null }], "k": "", "l": "a: b", "m": "12:30:00", "n": "v1.0", "o": "~" });
        insta::assert_snapshot!(documents(&[value, json!("second")]).unwrap(), @r#"
        a: "true"
        b: "no"
        c: "1e3"
        d: "0"
        e: |
          two
          lines
        f: []
        g: {}
        h:
        - x
        - i: 1
          j: null
        k: ""
        l: "a: b"
        m: "12:30:00"
        "n": v1.0
        o: "~"
        ---
        second
        "#);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[-+0-9.eE_:xo~ynNYtrufalsYESNO \n#&*!|>'\"%@`\\[\\]{},?]{0,12}".prop_map(Value::from),
            proptest::collection::vec("[a-z ]{0,60}", 1..5).prop_map(|lines| lines.join("\n").into()),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[-a-zA-Z0-9./~ ]{0,8}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_as_itself(value in any_json()) {
            let text = documents(std::slice::from_ref(&value)).unwrap();
            let back: Value = serde_saphyr::from_str(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
            prop_assert_eq!(back, value, "{}", text);
        }
    }
}
