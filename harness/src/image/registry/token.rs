//! Identity tokens: what `docker login` keeps for registries with a sign-in of their own.
//!
//! They are OAuth 2.0 refresh tokens; the registry's token service gives a bearer token for one:
//! <https://distribution.github.io/distribution/spec/auth/oauth/>.

use serde::Deserialize;

use super::{
    CONNECT_LIMIT, ImageError, Purpose, Reference, RegistryOptions, SILENCE_LIMIT, USER_AGENT,
    failure::Context,
};
use crate::image::credentials::Secret;

#[derive(Deserialize)]
struct Answer {
    #[serde(alias = "token")]
    access_token: String,
}

/// Exchanges an identity token for a bearer token with the rights that are needed.
pub(super) async fn exchange(
    token: &Secret,
    reference: &Reference,
    options: &RegistryOptions,
    purpose: Purpose,
    context: &Context,
) -> Result<String, ImageError> {
    let failed = |error: reqwest::Error| context.request(&error);
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT_LIMIT)
        .read_timeout(SILENCE_LIMIT)
        .user_agent(USER_AGENT)
        .build()
        .map_err(failed)?;
    let scheme = if options.plain_http { "http" } else { "https" };
    let probe = client.get(format!("{scheme}://{}/v2/", reference.host())).send().await.map_err(failed)?;
    let challenge =
        probe.headers().get("www-authenticate").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some(realm) = parameter(challenge, "realm").filter(|_| challenge.starts_with("Bearer ")) else {
        return Err(ImageError::Credentials(format!(
            "an identity token is stored for {}, but it names no token service; log in again, or give --username and \
             --password-stdin",
            reference.registry()
        )));
    };
    // The token must not go out in the clear, whatever the registry says.
    if !options.plain_http && !realm.starts_with("https://") {
        return Err(ImageError::Credentials(format!(
            "{} names a token service without TLS; the stored token was not sent",
            reference.registry()
        )));
    }
    let rights = if purpose == Purpose::Push { "pull,push" } else { "pull" };
    let scope = format!("repository:{}:{rights}", reference.repository());
    let service = parameter(challenge, "service").unwrap_or_default();
    let form = [
        ("grant_type", "refresh_token"),
        ("service", &service),
        ("client_id", "serverless-testbed"),
        ("scope", &scope),
        ("refresh_token", token.expose()),
    ]
    .map(|(name, value)| format!("{name}={}", encoded(value)))
    .join("&");
    let answer = client
        .post(realm)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .map_err(failed)?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(failed)?;
    match status.as_u16() {
        200 => serde_json::from_slice::<Answer>(&body)
            .map(|answer| answer.access_token)
            .map_err(|_| context.status(200, "from the token service, without a token")),
        400 | 401 | 403 => Err(context.refused()),
        code => Err(context.status(code, "from the token service")),
    }
}

/// A parameter of a challenge: `Bearer realm="https://...",service="..."`.
fn parameter(challenge: &str, name: &str) -> Option<String> {
    let start = challenge.find(&format!("{name}=\""))? + name.len() + 2;
    let rest = &challenge[start..];
    Some(rest[..rest.find('"')?].to_string())
}

/// Percent-encoding of everything that is not unreserved (RFC 3986, section 2.3).
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_taken_apart() {
        let challenge = r#"Bearer realm="https://auth.example/token",service="r.example",scope="x""#;
        assert_eq!(parameter(challenge, "realm").unwrap(), "https://auth.example/token");
        assert_eq!(parameter(challenge, "service").unwrap(), "r.example");
        assert_eq!(parameter("Basic realm=x", "realm"), None);
    }

    #[test]
    fn a_form_survives_every_character() {
        assert_eq!(encoded("a b&c=ü/~"), "a%20b%26c%3D%C3%BC%2F~");
    }
}
