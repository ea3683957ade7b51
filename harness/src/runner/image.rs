//! The image of a run on a cluster: there has to be one, and its digest goes to every platform.

use super::RunError;
use crate::{
    experiment::Experiment,
    image::{find_digest, reference::Reference},
    platforms::PlatformKind,
};

/// Pins the experiment's image to the digest behind its tag, so that every platform and every
/// trial runs the same bytes. What could not be done is said in a notice.
///
/// # Errors
/// If there is no image, or its name makes no sense, or the registry says that there is none.
pub async fn pin(experiment: &mut Experiment, say: &dyn Fn(&str)) -> Result<Option<String>, RunError> {
    let needed = experiment.subjects.iter().any(|s| s.platform != PlatformKind::Endpoint);
    let Some(image) = &experiment.function.image else {
        if !needed {
            return Ok(None);
        }
        return Err(RunError::Usage(
            "a cluster runs images, and none was given; push one with `harness image push REGISTRY/function:TAG` and \
             give what it prints as --image (or use --on twin, which needs none)"
                .to_owned(),
        ));
    };
    let reference = Reference::parse(image).map_err(|error| RunError::Usage(error.to_string()))?;
    if reference.digest().is_some() {
        return Ok(None);
    }
    match find_digest(image).await {
        Ok(resolved) => {
            say(&format!("image: {image} is {}", resolved.digest));
            experiment.function.image = Some(resolved.reference);
            Ok(None)
        }
        Err(error) => Ok(Some(format!(
            "The image is named by a tag whose digest could not be found out from here ({error}): that every trial \
             ran the same bytes is shown by the table of settings alone."
        ))),
    }
}
