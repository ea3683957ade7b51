//! Where the load generator runs, as seen from the cluster: on one of its nodes, or outside?

use std::{collections::BTreeSet, fs};

use serde_json::Value;

/// This machine, as far as a node's name and addresses can show that it is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Machine {
    pub(super) hostname: String,
    pub(super) addresses: BTreeSet<String>,
    /// Whether this is a pod.
    pub(super) is_pod: bool,
}

/// Where it is, in words, and what that means for the figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) words: String,
    pub(super) notice: Option<String>,
}

impl Machine {
    /// Reads it from `/proc`. IPv4 alone: a node's first address is one on nearly every cluster.
    pub(super) fn this() -> Self {
        let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
        let routes = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
        let is_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        Self { hostname, addresses: local_addresses(&routes), is_pod }
    }
}

/// Addresses that the kernel's routing table calls local: the line after each of them says
/// `/32 host LOCAL`.
fn local_addresses(fib_trie: &str) -> BTreeSet<String> {
    let lines: Vec<&str> = fib_trie.lines().collect();
    let locals = lines.windows(2).filter(|pair| pair[1].contains("/32 host LOCAL"));
    let addresses = locals.filter_map(|pair| pair[0].trim().strip_prefix("|-- "));
    addresses.filter(|address| !address.starts_with("127.")).map(str::to_owned).collect()
}

/// Compares this machine with the nodes.
pub(super) fn place(nodes: &[Value], machine: &Machine) -> Place {
    if machine.is_pod {
        return Place {
            words: "in a pod of the cluster".to_owned(),
            notice: Some(
                "The load generator ran in a pod of the cluster: keep it off the function's nodes, or it takes their CPU."
                    .to_owned(),
            ),
        };
    }
    let is_this = |node: &&Value| {
        let mut addresses = node["status"]["addresses"].as_array().into_iter().flatten();
        addresses.any(|a| a["address"].as_str().is_some_and(|text| machine.addresses.contains(text)))
            || node["metadata"]["name"] == machine.hostname.as_str()
    };
    match nodes.iter().find(is_this).and_then(|node| node["metadata"]["name"].as_str()) {
        Some(name) => Place {
            words: format!("on the node {name}"),
            notice: Some(format!(
                "The generator shares a node with the function ({name}): they take CPU from each other, and no \
                 network lies between them."
            )),
        },
        None if nodes.is_empty() => {
            Place { words: "unknown: the nodes could not be listed".to_owned(), notice: None }
        }
        None => Place { words: "outside the cluster".to_owned(), notice: None },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_with_one_of_our_addresses_is_this_machine() {
        let trie = "Local:\n        |-- 10.200.0.1\n           /32 host LOCAL\n        |-- 127.0.0.1\n           /32 host LOCAL\n        |-- 10.1.0.255\n           /32 link BROADCAST";
        let addresses = local_addresses(trie);
        assert_eq!(addresses, BTreeSet::from(["10.200.0.1".to_owned()]));
        let node =
            json!({ "metadata": { "name": "n1" }, "status": { "addresses": [{ "address": "10.200.0.1" }] } });
        let ours = Machine { addresses, hostname: "box".to_owned(), is_pod: false };
        let found = place(std::slice::from_ref(&node), &ours);
        assert_eq!(found.words, "on the node n1");
        assert!(found.notice.is_some_and(|n| n.starts_with("The generator shares a node with the function")));
        let other = Machine { hostname: "laptop".to_owned(), ..Machine::default() };
        assert_eq!(place(&[node], &other), Place { words: "outside the cluster".to_owned(), notice: None });
    }
}
