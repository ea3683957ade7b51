//! Identity tokens: what `docker login` keeps for registries with a sign-in of their own.
//!
//! They are OAuth 2.0 refresh tokens; the registry's token service gives a bearer token for one:
//! <https://distribution.github.io/distribution/spec/auth/oauth/>.

use serde::Deserialize;

use super::{
    CONNECT_LIMIT, ImageError, Purpose, Reference, RegistryOptions, SILENCE_LIMIT, USER_AGENT,
    failure::Context,
};
use crate::secret::Secret;

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
        ("refresh_token", token.reveal()),
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

    /// Answers these answers in order, a connection each; gives the address and what was asked.
    async fn server(answers: Vec<String>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = format!("localhost:{}", listener.local_addr().unwrap().port());
        let realm = format!("http://{host}/token");
        let asked = tokio::spawn(async move {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = String::new();
                // A form ends with the token, which is last; anything else with an empty line.
                while !request.ends_with("refresh_token=ide%2Fntity") && !request.ends_with("\r\n\r\n")
                    || (request.starts_with("POST") && request.ends_with("\r\n\r\n"))
                {
                    let mut bytes = [0; 4096];
                    let n = stream.read(&mut bytes).await.unwrap();
                    assert_ne!(n, 0, "cut off: {request}");
                    request += std::str::from_utf8(&bytes[..n]).unwrap();
                }
                asked.push(request);
                stream.write_all(answer.replace("REALM", &realm).as_bytes()).await.unwrap();
            }
            asked
        });
        (host, asked)
    }

    async fn exchange_at(token_answer: &str) -> (Result<String, ImageError>, Vec<String>) {
        let challenge = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"REALM\",service=\"s\"\r\n\
                         Content-Length: 0\r\nConnection: close\r\n\r\n";
        let (host, asked) = server(vec![challenge.into(), token_answer.into()]).await;
        crate::crypto::choose_provider();
        let options = RegistryOptions { plain_http: true, ..RegistryOptions::default() };
        let context = Context {
            registry: "r.example".into(),
            reference: "r.example/team/f:1".into(),
            what: "to take team/f".into(),
            who: Some("the token of config.json".into()),
            plain_http: true,
        };
        let reference = Reference::parse(&format!("{host}/team/f:1")).unwrap();
        let token = Secret::new("ide/ntity");
        let answer = exchange(&token, &reference, &options, Purpose::Push, &context).await;
        (answer, asked.await.unwrap())
    }

    fn json(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn an_identity_token_is_exchanged_for_the_rights_that_are_needed() {
        let (token, asked) = exchange_at(&json("200 OK", r#"{"access_token":"bearer"}"#)).await;
        assert_eq!(token.unwrap(), "bearer");
        assert!(asked[0].starts_with("GET /v2/ ") && asked[1].starts_with("POST /token "));
        assert!(
            asked[1].ends_with(
                "grant_type=refresh_token&service=s&client_id=serverless-testbed\
                 &scope=repository%3Ateam%2Ff%3Apull%2Cpush&refresh_token=ide%2Fntity"
            ),
            "{}",
            asked[1]
        );
    }

    #[tokio::test]
    async fn a_token_that_is_not_taken_any_more_is_said_to_be_refused() {
        let (token, _) = exchange_at(&json("401 Unauthorized", "{}")).await;
        let line = token.unwrap_err().to_string();
        assert!(line.contains("refused to take team/f for the token of config.json"), "{line}");
        assert!(!line.contains("ide/ntity"));
    }
}
