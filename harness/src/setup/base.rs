//! What a profile stands on: the cluster itself, made and thrown away by other programs, and how it
//! is reached. Pure.

use std::path::PathBuf;

use super::{SetupError, profile::Profile, program::Call};

/// Name of clusters that kind and minikube make for us.
pub const NAME: &str = "testbed";
/// Configuration of kind, in the folder `cluster-setup`.
const KIND_CONFIG: &str = "kind/cluster.yaml";
/// Scripts over SSH.
const MAKE: &str = "kubeadm/cluster.sh";
const RESET: &str = "kubeadm/reset.sh";

/// How a cluster is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Its kubeconfig; none: the environment's.
    pub kubeconfig: Option<PathBuf>,
    /// Its context; none: the current one.
    pub context: Option<String>,
}

/// A profile's ground.
#[derive(Debug, Clone)]
pub struct Base {
    /// Which profile.
    pub profile: Profile,
    /// Machines over SSH, the control plane first.
    pub nodes: Vec<String>,
    /// The network that they share.
    pub lan: Option<String>,
    /// Kubeconfig that the user named.
    pub kubeconfig: Option<PathBuf>,
    /// Context that the user named.
    pub context: Option<String>,
    /// Where the scripts put the kubeconfig unless the user says otherwise.
    pub own_kubeconfig: PathBuf,
}

impl Base {
    /// Refuses flags that this profile has no use for.
    ///
    /// # Errors
    /// Which, and what to do.
    pub fn check(&self) -> Result<(), SetupError> {
        let is_ssh = matches!(self.profile, Profile::Cloudlab | Profile::Kubeadm);
        if !is_ssh && !self.nodes.is_empty() {
            return Err(SetupError::Usage(format!(
                "--nodes belongs to the profiles kubeadm and cloudlab, not to {}; leave it out",
                self.profile
            )));
        }
        if self.nodes.is_empty() && self.lan.is_some() {
            return Err(SetupError::Usage("--lan goes with --nodes; name the machines too".to_owned()));
        }
        if let Some(node) = self.nodes.iter().find(|node| node.is_empty() || node.starts_with('-')) {
            return Err(SetupError::Usage(format!(
                "--nodes: `{node}` is no machine; write [user@]host, with commas between"
            )));
        }
        Ok(())
    }

    /// How the cluster is reached once it is there. `is_there`: whether a file is.
    pub fn access(&self, is_there: impl Fn(&PathBuf) -> bool) -> Access {
        let own_context = match self.profile {
            Profile::Kind => Some(format!("kind-{NAME}")),
            Profile::Minikube => Some(NAME.to_owned()),
            _ => None,
        };
        let is_ssh = matches!(self.profile, Profile::Cloudlab | Profile::Kubeadm);
        let scripts_own = (is_ssh && (!self.nodes.is_empty() || is_there(&self.own_kubeconfig)))
            .then(|| self.own_kubeconfig.clone());
        Access {
            kubeconfig: self.kubeconfig.clone().or(scripts_own),
            context: self.context.clone().or(own_context),
        }
    }

    /// Makes the cluster, or sees that it is there; none: it is expected to be. `file`: a file of the
    /// folder `cluster-setup` as a path.
    pub fn make(&self, file: impl Fn(&str) -> String) -> Option<Call> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let kubeconfig = self.kubeconfig.as_ref().map(|path| path.display().to_string());
        match self.profile {
            Profile::Kind => {
                let mut arguments = words(&["create", "cluster", "--name", NAME, "--config"]);
                arguments.push(file(KIND_CONFIG));
                arguments.extend(words(&["--wait", "5m"]));
                arguments.extend(kubeconfig.into_iter().flat_map(|path| ["--kubeconfig".to_owned(), path]));
                Some(Call::new("kind", arguments))
            }
            Profile::Minikube => {
                let mut call = Call::new("minikube", words(&["start", "--profile", NAME]));
                call.environment.extend(kubeconfig.map(|path| ("KUBECONFIG", path)));
                Some(call)
            }
            Profile::Cloudlab | Profile::Kubeadm if !self.nodes.is_empty() => {
                let own = self.own_kubeconfig.display().to_string();
                let mut arguments = vec!["--kubeconfig".to_owned(), kubeconfig.unwrap_or(own)];
                arguments.extend(self.lan.iter().flat_map(|lan| ["--lan".to_owned(), lan.clone()]));
                arguments.extend(self.nodes.clone());
                Some(Call::new(&file(MAKE), arguments))
            }
            Profile::Cloudlab | Profile::Kubeadm | Profile::Existing => None,
        }
    }

    /// Throws the whole cluster away; none: it is not ours to throw away, or no machine is named.
    pub fn remove(&self, file: impl Fn(&str) -> String) -> Option<Call> {
        match self.profile {
            Profile::Kind => {
                let mut call = Call::new("kind", ["delete", "cluster", "--name", NAME]);
                let path = self.kubeconfig.iter().map(|path| path.display().to_string());
                call.arguments.extend(path.flat_map(|path| ["--kubeconfig".to_owned(), path]));
                Some(call)
            }
            Profile::Minikube => Some(Call::new("minikube", ["delete", "--profile", NAME])),
            Profile::Cloudlab | Profile::Kubeadm if !self.nodes.is_empty() => {
                Some(Call::new(&file(RESET), self.nodes.clone()))
            }
            Profile::Cloudlab | Profile::Kubeadm | Profile::Existing => None,
        }
    }

    /// The program that makes or throws away the cluster; none: there is nothing to make.
    pub fn program(&self) -> Option<&'static str> {
        match self.profile {
            Profile::Kind => Some("kind"),
            Profile::Minikube => Some("minikube"),
            Profile::Cloudlab | Profile::Kubeadm if !self.nodes.is_empty() => Some("ssh"),
            Profile::Cloudlab | Profile::Kubeadm | Profile::Existing => None,
        }
    }
}

/// Where `kubeadm/cluster.sh` puts the kubeconfig unless it is told otherwise.
pub fn scripts_kubeconfig() -> PathBuf {
    let state = std::env::var_os("XDG_STATE_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || std::env::home_dir().unwrap_or_default().join(".local/state");
    state.unwrap_or_else(home).join("testbed/kubeconfig")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(profile: Profile, nodes: &[&str]) -> Base {
        Base {
            profile,
            nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
            lan: None,
            kubeconfig: None,
            context: None,
            own_kubeconfig: "/own".into(),
        }
    }

    fn make(base: &Base) -> Option<String> {
        base.make(|name| format!("cs/{name}")).map(|call| call.to_string())
    }

    #[test]
    fn each_profile_calls_its_own_program() {
        let kind = "kind create cluster --name testbed --config cs/kind/cluster.yaml --wait 5m";
        assert_eq!(make(&base(Profile::Kind, &[])).unwrap(), kind);
        let named = Base { kubeconfig: Some("/k".into()), ..base(Profile::Kind, &[]) };
        assert_eq!(make(&named).unwrap(), format!("{kind} --kubeconfig /k"));
        let over_ssh = Base { lan: Some("10.0.0.0/24".into()), ..base(Profile::Kubeadm, &["a@h1", "h2"]) };
        assert_eq!(
            make(&over_ssh).unwrap(),
            "cs/kubeadm/cluster.sh --kubeconfig /own --lan 10.0.0.0/24 a@h1 h2"
        );
        assert_eq!(over_ssh.remove(str::to_owned).unwrap().to_string(), "kubeadm/reset.sh a@h1 h2");
        assert_eq!(make(&base(Profile::Existing, &[])), None);
        assert_eq!(make(&base(Profile::Cloudlab, &[])), None);
    }

    #[test]
    fn the_scripts_kubeconfig_is_used_where_it_is_there_or_will_be() {
        let there = |base: &Base, is_there: bool| base.access(|_| is_there);
        let cloudlab = base(Profile::Cloudlab, &[]);
        assert_eq!(there(&cloudlab, false), Access::default());
        assert_eq!(there(&cloudlab, true).kubeconfig, Some("/own".into()));
        assert_eq!(there(&base(Profile::Kubeadm, &["h"]), false).kubeconfig, Some("/own".into()));
        assert_eq!(there(&base(Profile::Existing, &[]), true), Access::default());
        assert_eq!(there(&base(Profile::Kind, &[]), true).context.as_deref(), Some("kind-testbed"));
    }

    #[test]
    fn flags_of_another_profile_are_refused() {
        let said = |base: &Base| base.check().unwrap_err().to_string();
        assert!(said(&base(Profile::Kind, &["h"])).contains("not to kind"));
        assert!(said(&base(Profile::Kubeadm, &["-x"])).contains("`-x` is no machine"));
        let lan = Base { lan: Some("x".into()), ..base(Profile::Kubeadm, &[]) };
        assert!(said(&lan).contains("--lan goes with --nodes"));
    }
}
