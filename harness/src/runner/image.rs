//! The image of a run on a cluster: there has to be one, and its digest goes to every platform.

use super::RunError;
use crate::{
    experiment::{Experiment, Subject},
    image::{find_digest, find_workload, reference::Reference},
    platforms::{PlatformKind, exposure},
    workloads::Kind,
};

/// Pins the images of the experiment and its variants to the digests behind their tags, so that every
/// platform and every trial runs the same bytes. What could not be done is said in notices.
///
/// # Errors
/// If a subject has no image, or an image's name makes no sense, or the registry says that there is none.
pub async fn pin(experiment: &mut Experiment, say: &dyn Fn(&str)) -> Result<Vec<String>, RunError> {
    let has_none = |subject: &Subject| {
        subject.platform != PlatformKind::Endpoint && experiment.function_of(subject).image.is_none()
    };
    if experiment.subjects.iter().any(has_none) {
        return Err(RunError::Usage(
            "a cluster runs images, and none was given; push one with `harness image push REGISTRY/function:TAG` and \
             give what it prints as --image (or use --on twin, which needs none)"
                .to_owned(),
        ));
    }
    let mut notices = Vec::new();
    let of_variants = experiment.variants.iter_mut().map(|variant| &mut variant.image);
    for image in std::iter::once(&mut experiment.function.image).chain(of_variants).flatten() {
        notices.extend(pin_one(image, say).await?);
    }
    notices.extend(refuse_hidden_grading(experiment).await?);
    Ok(notices)
}

/// A user's own function may be an image of ours that grades: nothing but its label says so. Gives a notice for each
/// image that could not be asked.
///
/// # Errors
/// If it is one, and nobody allowed it.
pub async fn refuse_hidden_grading(e: &Experiment) -> Result<Vec<String>, RunError> {
    let mut notices = Vec::new();
    if e.function.own.is_none() || e.function.allow_public_grading {
        return Ok(notices);
    }
    let of_variants = e.variants.iter().map(|variant| &variant.image);
    for image in std::iter::once(&e.function.image).chain(of_variants).flatten() {
        match find_workload(image).await {
            Ok(workload) => {
                let kind = workload.and_then(|name| name.parse::<Kind>().ok());
                if let Some(kind) = kind.filter(|kind| kind.runs_strangers_code()) {
                    return Err(RunError::Usage(format!(
                        "{image} is the testbed's {kind}, which runs the programs that callers send; deploy it as \
                         --workload {kind}, or {}",
                        exposure::ALLOW
                    )));
                }
            }
            Err(error) => notices.push(format!(
                "Whether {image} runs programs that callers send could not be found out from here ({error})."
            )),
        }
    }
    Ok(notices)
}

async fn pin_one(image: &mut String, say: &dyn Fn(&str)) -> Result<Option<String>, RunError> {
    let reference = Reference::parse(image).map_err(|error| RunError::Usage(error.to_string()))?;
    if reference.digest().is_some() {
        return Ok(None);
    }
    match find_digest(image).await {
        Ok(resolved) => {
            say(&format!("image: {image} is {}", resolved.digest));
            *image = resolved.reference;
            Ok(None)
        }
        Err(error) => Ok(Some(format!(
            "The image {image} is named by a tag whose digest could not be found out from here ({error}): that every \
             trial ran the same bytes is shown by the table of settings alone."
        ))),
    }
}
