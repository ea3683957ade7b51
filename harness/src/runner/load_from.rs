//! From where an experiment says that its load comes to workers that are there, and away again.

use std::net::IpAddr;

use anyhow::Context;

use crate::{
    drive::{
        Endpoint, LoadFrom,
        distributed::{Crew, Local},
    },
    experiment::{LoadFromChoice, LoadPlace},
    platforms::cluster::{
        Cluster,
        workers::{WorkerPods, WorkerPodsChoice},
    },
};

/// Where the load of a run comes from, and what has to be taken away when it ends.
pub struct Source {
    /// Plays loads.
    pub from: LoadFrom,
    pods: Option<WorkerPods>,
}

impl Source {
    /// Starts what has to be there before the first load. `cluster` is needed for workers there.
    ///
    /// # Errors
    /// If workers cannot be had.
    pub async fn start(choice: &LoadFromChoice, cluster: Option<&Cluster>) -> anyhow::Result<Self> {
        let crew = |workers| LoadFrom::Crew(Crew::new(choice.workers, workers));
        match choice.place {
            LoadPlace::Here => Ok(Self { from: LoadFrom::Here, pods: None }),
            LoadPlace::Local => {
                let local = Local::of_this_binary().context("cannot find this program's own file")?;
                Ok(Self { from: crew(Box::new(local)), pods: None })
            }
            LoadPlace::Cluster => {
                let cluster =
                    cluster.context("load from the cluster needs a cluster; name one with --context")?;
                let wanted = WorkerPodsChoice {
                    count: choice.workers,
                    image: choice.image.clone().context("load from the cluster needs --worker-image")?,
                    node_selector: choice.node_selector.clone(),
                    cpu_cores: choice.cpu_cores,
                    memory_mib: choice.memory_mib,
                };
                let pods = WorkerPods::start(cluster, &wanted).await?;
                Ok(Self { from: crew(Box::new(pods.clone())), pods: Some(pods) })
            }
        }
    }

    /// Refuses endpoints that mean something else where the load comes from.
    ///
    /// # Errors
    /// Which, and the remedy.
    pub fn accepts(&self, endpoints: &[Endpoint]) -> anyhow::Result<()> {
        if self.pods.is_none() {
            return Ok(());
        }
        match endpoints.iter().find(|endpoint| is_loopback(&endpoint.url)) {
            None => Ok(()),
            Some(endpoint) => anyhow::bail!(
                "the address {} leads a pod to itself, not to the function; give one that pods reach too \
                 (--ingress or --gateway with a node's address), or use --load-from local",
                endpoint.url
            ),
        }
    }

    /// Takes away what was started.
    ///
    /// # Errors
    /// If something stays behind.
    pub async fn end(self) -> anyhow::Result<()> {
        match self.pods {
            Some(pods) => Ok(pods.remove().await?),
            None => Ok(()),
        }
    }
}

fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<hyper::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_are_told_from_those_that_a_pod_reaches() {
        for own in ["http://127.0.0.1:30080/predict", "http://localhost/", "http://[::1]:8080/"] {
            assert!(is_loopback(own), "{own}");
        }
        for shared in ["http://10.0.0.1:30080/", "http://node-1:30080/", "http://[2001:db8::1]/"] {
            assert!(!is_loopback(shared), "{shared}");
        }
    }
}
