//! The object storage that inputs come from: does it answer, is the key good, does the bucket take,
//! give back and remove?

use crate::{
    bucket::{self, Bucket},
    doctor::{Patient, Said, fail, ok, skipped},
    experiment::ObjectStore,
};

/// Below this the doctor writes its one object; no run can have this name.
const OWN_FOLDER: &str = ".doctor";

/// Codes of S3 by which a storage refuses a key, and what mends each.
const REFUSALS: [(&str, &str, &str); 4] = [
    (
        "InvalidAccessKeyId",
        "it does not know the key in AWS_ACCESS_KEY_ID",
        "export the key pair of this storage's own user",
    ),
    (
        "SignatureDoesNotMatch",
        "AWS_SECRET_ACCESS_KEY is not the secret of the key, or the region is another",
        "export the right one; name the region with --s3-region",
    ),
    (
        "RequestTimeTooSkewed",
        "the clocks of this machine and the storage differ too much",
        "set both by NTP (timedatectl set-ntp true)",
    ),
    (
        "AccessDenied",
        "the key may not do what a run does",
        "grant it s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject on the bucket",
    ),
];

pub(super) async fn server(p: &Patient<'_>) -> Said {
    let Some(store) = &p.cluster.choice.object_store else {
        return fail(
            "no object storage is named",
            "give --s3-endpoint http://HOST:9000 and --s3-bucket NAME, or [cluster.object-store] in the experiment",
        );
    };
    let url = store.from_here();
    // Whatever it says to a stranger: it is there.
    match p.http.get(url, None, None).await {
        Ok(answer) if answer.status < 500 => {
            let inside = if url == store.endpoint {
                String::new()
            } else {
                format!("; pods are told {}, which only a deployment can prove", store.endpoint)
            };
            ok(format!("{url} answers{inside}"))
        }
        Ok(answer) => fail(
            format!("{url} answers {}", answer.status),
            "look at the storage's own log: it is there and does not work",
        ),
        Err(error) => fail(
            format!("{url} does not answer: {error}"),
            "name the address that this machine reaches with --s3-endpoint-from-here (kubectl port-forward serves \
             for uploads), and start the storage",
        ),
    }
}

pub(super) async fn key(p: &Patient<'_>) -> Said {
    let (store, bucket) = match bucket_of(p) {
        Ok(found) => found,
        Err(said) => return said,
    };
    match bucket.keys_below(&folder()).await {
        Ok(_) => ok("the key in AWS_ACCESS_KEY_ID is accepted"),
        // Who is told that a bucket is missing was known.
        Err(error) if is_missing(&error) => ok("the key in AWS_ACCESS_KEY_ID is accepted"),
        Err(error) => refused(store, &error),
    }
}

pub(super) async fn bucket(p: &Patient<'_>) -> Said {
    let Ok((store, bucket)) = bucket_of(p) else { return skipped("see storage key") };
    match probe(&bucket).await {
        Ok(()) => ok(format!("{} takes an object, gives it back and removes it", store.bucket)),
        Err(error) if is_missing(&error) => fail(
            format!(
                "there is no bucket {} (runs make none: who owns the storage decides that)",
                store.bucket
            ),
            format!("aws --endpoint-url {} s3 mb s3://{}", store.from_here(), store.bucket),
        ),
        Err(error) => refused(store, &error),
    }
}

/// Does once what a run does with each of its objects.
async fn probe(bucket: &Bucket) -> anyhow::Result<()> {
    let key = format!("{}/probe", folder());
    bucket.put(&key, "probe".into(), "text/plain").await?;
    let read = bucket.get(&key).await;
    bucket.remove_below(&folder()).await?;
    anyhow::ensure!(read? == "probe", "an object came back as another");
    Ok(())
}

fn folder() -> String {
    bucket::folder_of(OWN_FOLDER)
}

fn bucket_of<'a>(p: &'a Patient<'_>) -> Result<(&'a ObjectStore, Bucket), Said> {
    let store = p.cluster.choice.object_store.as_ref().ok_or_else(|| skipped("see object storage"))?;
    let keys = p.keys.as_ref().map_err(|why| {
        fail(why.clone(), "export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; there is no flag for them")
    })?;
    let bucket = Bucket::new(store.from_here(), store.region(), &store.bucket, keys);
    let bucket = bucket.map_err(|error| fail(format!("{error:#}"), "mend --s3-endpoint and --s3-bucket"))?;
    Ok((store, bucket))
}

/// Whether a storage said that there is no such bucket.
fn is_missing(error: &anyhow::Error) -> bool {
    format!("{error:#}").contains("NoSuchBucket")
}

/// A refusal in words; the codes are those of S3.
fn refused(store: &ObjectStore, error: &anyhow::Error) -> Said {
    let text = format!("{error:#}");
    let at = store.from_here();
    match REFUSALS.iter().find(|(code, ..)| text.contains(code)) {
        Some((code, says, remedy)) => fail(format!("{at} refuses ({code}): {says}"), *remedy),
        None => fail(text, format!("look at the log of the storage at {at}")),
    }
}
