//! OpenFaaS: gateway, login, edition, functions, time limits, sidecars.

use crate::{
    doctor::{Patient, Said, fail, ok, skipped, warn},
    platforms::cluster::{
        Login, Secret,
        reach::{self, Route, ServicePort},
        resources::{DEPLOYMENTS, NAMESPACES, SECRETS},
    },
};

/// Functions that the Community Edition allows.
const MOST_FUNCTIONS: usize = 15;
/// Time limits shorter than this end answers that the default deadline still waits for, seconds.
const SHORT_S: f64 = 10.0;

pub(super) async fn gateway(p: &Patient<'_>) -> Said {
    let remedy = "install OpenFaaS (cluster-setup/README.md says how), or give its address as --gateway http://HOST:PORT";
    let route = match route(p).await {
        Ok(route) => route,
        Err(error) => return fail(error, remedy),
    };
    match p.http.get(&format!("{}/healthz", route.url), None, None).await {
        Ok(answer) if answer.status == 200 => {
            let found = format!("healthy at {} ({})", route.url, route.how);
            if route.is_forwarded {
                return warn(
                    format!("{found}: good for control calls, not for load"),
                    "give the Service gateway-external a node port or load balancer that this machine reaches",
                );
            }
            ok(found)
        }
        Ok(answer) => fail(
            format!("{}/healthz answers {}", route.url, answer.status),
            format!("kubectl -n {} get pods", p.cluster.gateway_namespace()),
        ),
        Err(error) => fail(format!("{} does not answer: {error}", route.url), remedy),
    }
}

pub(super) async fn login(p: &Patient<'_>) -> Said {
    let secret = format!("{}/basic-auth", p.cluster.gateway_namespace());
    let flag = "give the password with --gateway-password-file FILE (- reads standard input) or in OPENFAAS_PASSWORD, \
                and the user with --gateway-user";
    let (login, from) = match found_login(p).await {
        Ok(found) => found,
        Err(why) => return fail(format!("no password: {why}"), flag),
    };
    match ask(p, "/system/functions", Some(&login)).await {
        Ok(answer) if answer.status == 200 => ok(format!("{} from {from} is accepted", login.user)),
        Ok(answer) if answer.status == 401 => fail(
            format!("the gateway refuses {} with the password from {from} (401)", login.user),
            format!("{flag}; the right one is in the Secret {secret}, key basic-auth-password"),
        ),
        Ok(answer) => {
            fail(format!("/system/functions answers {}: {}", answer.status, answer.text.trim()), flag)
        }
        Err(error) => fail(error, flag),
    }
}

pub(super) async fn edition(p: &Patient<'_>) -> Said {
    let login = found_login(p).await.ok().map(|(login, _)| login);
    let info = match ask(p, "/system/info", login.as_ref()).await {
        Ok(answer) if answer.status == 200 => answer.json(),
        Ok(answer) => return skipped(format!("/system/info answers {}", answer.status)),
        Err(error) => return skipped(error),
    };
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("unknown").to_owned();
    let (gateway, provider) = (text(&info["version"]["release"]), &info["provider"]);
    let name = text(&provider["provider"]);
    let said = format!("gateway {gateway}, provider {name} {}", text(&provider["version"]["release"]));
    if name.ends_with("-ce") {
        return ok(format!(
            "{said}: Community Edition (at most 5 replicas a function, no scale to zero, {MOST_FUNCTIONS} functions, \
             one namespace, public images only)"
        ));
    }
    ok(said)
}

pub(super) async fn functions(p: &Patient<'_>) -> Said {
    let namespace = p.cluster.functions_namespace();
    match p.cluster.api.get(&NAMESPACES, None, namespace).await {
        Ok(None) => {
            return fail(
                format!("there is no namespace {namespace}"),
                "give the namespace of functions as --functions-namespace NAME",
            );
        }
        Ok(Some(_)) | Err(_) => {}
    }
    let login = found_login(p).await.ok().map(|(login, _)| login);
    let listed = match ask(p, "/system/functions", login.as_ref()).await {
        Ok(answer) if answer.status == 200 => answer.json(),
        Ok(answer) => return skipped(format!("/system/functions answers {}", answer.status)),
        Err(error) => return skipped(error),
    };
    let names = listed.as_array().into_iter().flatten().filter_map(|f| f["name"].as_str());
    let names: Vec<&str> = names.collect();
    let count =
        format!("{} in {namespace}, of {MOST_FUNCTIONS} that the Community Edition allows", names.len());
    let remedy = format!("faas-cli remove NAME, or harness clean; there are {}", names.join(", "));
    match names.len() {
        n if n >= MOST_FUNCTIONS => fail(format!("{count}: no room for another"), remedy),
        0 => ok(count),
        _ => ok(format!("{count} ({})", names.join(", "))),
    }
}

pub(super) async fn time_limits(p: &Patient<'_>) -> Said {
    let namespace = p.cluster.gateway_namespace();
    let gateway = match p.cluster.api.get(&DEPLOYMENTS, Some(namespace), "gateway").await {
        Ok(Some(gateway)) => gateway,
        Ok(None) => return skipped(format!("there is no Deployment gateway in {namespace}")),
        Err(error) => return skipped(error.to_string()),
    };
    let containers = gateway["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten();
    let variables =
        containers.filter(|c| c["name"] == "gateway").flat_map(|c| c["env"].as_array().into_iter().flatten());
    let limits: Vec<(String, String)> = variables
        .filter_map(|v| Some((v["name"].as_str()?.to_owned(), v["value"].as_str()?.to_owned())))
        .filter(|(name, _)| name.ends_with("_timeout"))
        .collect();
    if limits.is_empty() {
        return ok("the gateway's defaults (upstream 60 s)");
    }
    let said: Vec<String> = limits.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let short = limits.iter().any(|(_, value)| {
        // Plain numbers are seconds.
        let limit =
            value.parse::<f64>().ok().or_else(|| Some(humantime::parse_duration(value).ok()?.as_secs_f64()));
        limit.is_some_and(|seconds| seconds < SHORT_S)
    });
    if short {
        return warn(
            format!("{}: shorter than the harness's own deadline of {SHORT_S} s", said.join(", ")),
            "set gateway.upstreamTimeout, gateway.readTimeout and gateway.writeTimeout of the chart to 60s, or lower \
             --timeout",
        );
    }
    ok(said.join(", "))
}

pub(super) async fn sidecars(p: &Patient<'_>) -> Said {
    let namespace = p.cluster.functions_namespace();
    let found = match p.cluster.api.get(&NAMESPACES, None, namespace).await {
        Ok(Some(found)) => found,
        Ok(None) => return skipped(format!("there is no namespace {namespace}")),
        Err(error) => return skipped(error.to_string()),
    };
    if found["metadata"]["labels"]["istio-injection"] != "enabled" {
        return ok(format!("{namespace} asks for none"));
    }
    match p.cluster.api.get(&NAMESPACES, None, "istio-system").await {
        Ok(None) => ok(format!("{namespace} asks for Istio's, but Istio is not installed")),
        _ => warn(
            format!(
                "pods in {namespace} get Istio's sidecar, which Knative's do not: the comparison would measure it"
            ),
            format!("kubectl label namespace {namespace} istio-injection=disabled --overwrite"),
        ),
    }
}

async fn route(p: &Patient<'_>) -> Result<Route, String> {
    if let Some(url) = &p.cluster.choice.gateway {
        return Ok(Route::given(url));
    }
    let namespace = p.cluster.gateway_namespace();
    let external = ServicePort { namespace, name: "gateway-external", port: 8080 };
    if let Ok(route) = reach::direct(p.cluster, external).await {
        return Ok(route);
    }
    let gateway = ServicePort { namespace, name: "gateway", port: 8080 };
    reach::control(p.cluster, gateway).await.map_err(|error| error.to_string())
}

async fn ask(
    p: &Patient<'_>,
    path: &str,
    login: Option<&Login>,
) -> Result<crate::doctor::http::Answer, String> {
    let route = route(p).await?;
    p.http.get(&format!("{}{path}", route.url), None, login).await
}

/// The login, and where it is from.
async fn found_login(p: &Patient<'_>) -> Result<(Login, String), String> {
    if let Some(login) = &p.cluster.login {
        return Ok((login.clone(), "flag or environment".to_owned()));
    }
    let namespace = p.cluster.gateway_namespace();
    let place = format!("the Secret {namespace}/basic-auth");
    let secret =
        p.cluster.api.get(&SECRETS, Some(namespace), "basic-auth").await.map_err(|e| e.to_string())?;
    let secret = secret.ok_or_else(|| format!("{place} is not there"))?;
    let text = |key: &str| {
        let bytes = serde_json::from_value::<k8s_openapi::ByteString>(secret["data"][key].clone()).ok()?;
        String::from_utf8(bytes.0).ok().map(|text| text.trim_end().to_owned())
    };
    let (user, password) = (text("basic-auth-user"), text("basic-auth-password"));
    match (user, password) {
        (Some(user), Some(password)) => Ok((Login { user, password: Secret::new(password) }, place)),
        _ => Err(format!("{place} has no basic-auth-user and basic-auth-password")),
    }
}
