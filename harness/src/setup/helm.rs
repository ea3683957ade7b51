//! Charts, by the program helm: pulled into the cache, checked, and installed from there.

use super::{SetupError, Site, base::Access, download::Cache, plan::Release, program::Call};
use crate::platforms::cluster::{api::Selection, resources::SECRETS};

/// Downloads the chart's archive.
pub fn pull(release: &Release, cache: &Cache) -> Call {
    let chart = &release.chart;
    let mut arguments = vec!["pull".to_owned()];
    if chart.repository.starts_with("oci://") {
        arguments.push(format!("{}/{}", chart.repository.trim_end_matches('/'), chart.chart));
    } else {
        arguments.extend([chart.chart.clone(), "--repo".into(), chart.repository.clone()]);
    }
    let to = cache.folder().display().to_string();
    arguments.extend(["--version".into(), chart.version.clone(), "--destination".into(), to]);
    Call::new("helm", arguments)
}

/// Installs it, or brings it up to date.
pub fn install(release: &Release, cache: &Cache, access: &Access) -> Call {
    let archive = cache.archive(&release.chart).display().to_string();
    let mut arguments = vec!["upgrade".to_owned(), "--install".into(), release.name.clone(), archive];
    arguments.extend(["--version".into(), release.chart.version.clone()]);
    for path in values_files(release, cache) {
        arguments.extend(["--values".into(), path]);
    }
    on_cluster(arguments, &release.namespace, access)
}

/// Takes it away.
pub fn uninstall(name: &str, namespace: &str, access: &Access) -> Call {
    let arguments = ["uninstall", name, "--ignore-not-found", "--wait", "--timeout", "5m"];
    on_cluster(arguments.map(str::to_owned).into(), namespace, access)
}

fn on_cluster(mut arguments: Vec<String>, namespace: &str, access: &Access) -> Call {
    arguments.extend(["--namespace".into(), namespace.to_owned()]);
    if let Some(path) = &access.kubeconfig {
        arguments.extend(["--kubeconfig".into(), path.display().to_string()]);
    }
    if let Some(context) = &access.context {
        arguments.extend(["--kube-context".into(), context.clone()]);
    }
    Call::new("helm", arguments)
}

/// Where its filled files of values are put.
fn values_files(release: &Release, cache: &Cache) -> Vec<String> {
    let name = |index: usize| cache.folder().join(format!("values-{}-{index}.yaml", release.name));
    (0..release.values.len()).map(|index| name(index).display().to_string()).collect()
}

/// Pulls, checks and installs.
///
/// # Errors
/// If helm fails, or the archive is another one than it should be.
pub async fn perform(site: &Site, release: &Release) -> Result<(), SetupError> {
    let cache = &site.cache;
    let unwritable = |error: std::io::Error| {
        SetupError::Download(format!("{} cannot be written ({error})", cache.folder().display()))
    };
    std::fs::create_dir_all(cache.folder()).map_err(unwritable)?;
    if !cache.archive(&release.chart).is_file() {
        site.progress
            .now(&format!("downloading the chart {} {}", release.chart.chart, release.chart.version));
        pull(release, cache).run(&site.interrupt, |_| ()).await?;
    }
    cache.check_archive(&release.chart)?;
    for (path, text) in values_files(release, cache).iter().zip(&release.values) {
        std::fs::write(path, text).map_err(unwritable)?;
    }
    unlock(site, release).await?;
    site.progress.now(&format!("helm installs {} {}", release.name, release.chart.version));
    install(release, cache, &site.access).run(&site.interrupt, |_| ()).await?;
    Ok(())
}

/// Whether helm knows a release of this name.
///
/// # Errors
/// If the cluster does not say.
pub async fn is_there(site: &Site, name: &str, namespace: &str) -> Result<bool, SetupError> {
    let selection = Selection::labelled(format!("owner=helm,name={name}"));
    let listed = site.api.list(&SECRETS, Some(namespace), &selection).await;
    Ok(!listed.map_err(SetupError::api(format!("looking for the release {name}")))?.items.is_empty())
}

/// A helm that was killed leaves a release that is being changed for ever, and every later one refuses
/// to touch it. Only that mark is taken away, and only from a release of ours.
async fn unlock(site: &Site, release: &Release) -> Result<(), SetupError> {
    let failed = || SetupError::api(format!("looking for the release {}", release.name));
    let pending = "status in (pending-install,pending-upgrade,pending-rollback)";
    let selection = Selection::labelled(format!("owner=helm,name={},{pending}", release.name));
    let listed = site.api.list(&SECRETS, Some(&release.namespace), &selection).await.map_err(failed())?;
    for secret in listed.items {
        let name = secret["metadata"]["name"].as_str().unwrap_or_default();
        site.progress.say(&format!("  {name}: an interrupted helm left it; it is taken away"));
        site.api.delete(&SECRETS, Some(&release.namespace), name).await.map_err(failed())?;
    }
    Ok(())
}
