//! The image of a run on a cluster: there has to be one, and its digest goes to every platform.

use super::RunError;
use crate::{
    experiment::{Experiment, Subject},
    image::{find_digest, reference::Reference},
    platforms::PlatformKind,
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
