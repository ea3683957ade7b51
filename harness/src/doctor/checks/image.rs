//! Can the image be found, and will Knative be able to resolve its tag?

use crate::{
    doctor::{Patient, Said, fail, ok, skipped, warn},
    image::{find_digest, reference::Reference},
    platforms::{PlatformKind, cluster::resources::CONFIG_MAPS},
};

pub(super) async fn image(p: &Patient<'_>) -> Said {
    let Some(text) = &p.wishes.image else {
        return skipped("no --image was given");
    };
    let reference = match Reference::parse(text) {
        Ok(reference) => reference,
        Err(error) => return fail(error.to_string(), "write REGISTRY/NAME:TAG"),
    };
    let registry = reference.registry().to_owned();
    let found = match find_digest(text).await {
        Ok(resolved) => format!("{registry} has it, as seen from here ({})", resolved.digest),
        Err(error) => {
            return fail(
                error.to_string(),
                "push it with `harness image push REGISTRY/NAME:TAG`; OpenFaaS CE takes public images only",
            );
        }
    };
    let told = "whether the nodes reach it too, only a deployment tells";
    if reference.digest().is_some() || !p.wishes.platforms.contains(&PlatformKind::Knative) {
        return ok(format!("{found}; {told}"));
    }
    let config = p.cluster.api.get(&CONFIG_MAPS, Some("knative-serving"), "config-deployment").await;
    let skipping = config
        .ok()
        .flatten()
        .and_then(|c| c["data"]["registries-skipping-tag-resolving"].as_str().map(str::to_owned));
    let skips = skipping.unwrap_or_else(|| "kind.local,ko.local,dev.local".to_owned());
    if skips.split(',').any(|name| name.trim() == registry) {
        return warn(
            format!(
                "{found}; Knative leaves the tags of {registry} alone (registries-skipping-tag-resolving)"
            ),
            "give the image by its digest, NAME@sha256:..., so that every platform runs the same one",
        );
    }
    ok(format!("{found}; Knative's controller resolves the tag and needs the registry for it; {told}"))
}
