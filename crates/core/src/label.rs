//! How the agent makes a label's value of a name.

/// The longest value of a label.
const LONGEST: usize = 63;

/// A queue's name as the agent writes it into a pod's label (`_safe_k8s_label_value` of clearml-agent): `GPU queue` → `gpu-queue`.
/// Two names may become one.
pub fn label_value(name: &str) -> String {
    let lower = name.trim().to_lowercase();
    let core = lower.trim_matches(|letter: char| !letter.is_alphanumeric());
    let mut value = String::with_capacity(core.len());
    for letter in core.chars() {
        if letter.is_alphanumeric() {
            value.push(letter);
        } else if !value.ends_with('-') {
            value.push('-');
        }
    }
    value.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_values_as_the_agent_makes_them() {
        for (name, value) in [
            ("gpu queue", "gpu-queue"),
            (" GPU  Queue! ", "gpu-queue"),
            ("a.b__c--d", "a-b-c-d"),
            ("__x__", "x"),
            ("8x A100 (80 GB)", "8x-a100-80-gb"),
            ("929bd9a8f0", "929bd9a8f0"),
            ("", ""),
        ] {
            assert_eq!(label_value(name), value, "{name}");
        }
        assert_eq!(label_value(&"q".repeat(80)).len(), LONGEST);
    }
}
