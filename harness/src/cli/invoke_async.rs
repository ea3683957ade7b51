//! `invoke openfaas --async`: submits calls to the gateway's queue and waits for their call-backs.

use std::{net::SocketAddr, time::Duration};

use serde_json::json;

use super::{CliError, Exit, cluster_args::ClusterArgs, experiment_args::Output};
use crate::{
    admin::BY_HAND,
    drive::Payload,
    platforms::{
        cluster::{ClusterChoice, RunLabel},
        openfaas::{
            asynchronous::{AsyncCall, AsyncError, AsyncPlan, Receiver, call},
            login::{Purpose, enter},
        },
    },
    screen::{note, out},
};

/// Flags of asynchronous calls.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Asynchronous calls (OpenFaaS)")]
pub struct AsyncArgs {
    /// Submit to the gateway's queue and wait for the call-back, measured from the submission
    #[arg(long = "async")]
    pub asynchronous: bool,
    /// Address to listen at for call-backs; pods must reach it
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:0")]
    callback_listen: SocketAddr,
    /// Name or address of this machine as pods see it (needed with 0.0.0.0)
    #[arg(long, value_name = "HOST")]
    callback_host: Option<String>,
    /// Calls under way at once; the Community Edition's queue holds 10
    #[arg(long, value_name = "N", default_value_t = 1)]
    in_flight: usize,
}

/// What is called how often, and where.
pub struct Wanted<'a> {
    /// Name of the function.
    pub name: &'a str,
    /// What each call sends.
    pub payload: Payload,
    /// How many calls.
    pub count: u64,
    /// How long a call-back is waited for.
    pub timeout: Duration,
    /// What is printed.
    pub output: Output,
}

/// Runs it.
pub async fn run(wanted: Wanted<'_>, args: &AsyncArgs, cluster: &ClusterArgs) -> Result<Exit, CliError> {
    let receiver =
        Receiver::start(args.callback_listen, args.callback_host.as_deref()).await.map_err(refused)?;
    let cluster = cluster.connect(ClusterChoice::default(), RunLabel::new(BY_HAND)).await?;
    note!("{}", cluster.describe());
    let entry = enter(&cluster, Purpose::Control).await.map_err(anyhow::Error::from)?;
    let payloads = vec![wanted.payload; usize::try_from(wanted.count).unwrap_or(usize::MAX)];
    let plan = AsyncPlan { in_flight: args.in_flight, call_back_limit: wanted.timeout };
    let calls = call(&entry.gateway, &receiver, wanted.name, &payloads, plan).await.map_err(refused)?;
    match wanted.output {
        Output::Text => calls.iter().for_each(|call| out!("{}", line(call))),
        Output::Json => out!("{}", super::json(&calls.iter().map(as_json).collect::<Vec<_>>())),
    }
    let all = calls.iter().all(|call| call.called_back.is_some());
    Ok(if all { Exit::Valid } else { Exit::Failed })
}

/// What the user's plan or the edition cannot do is bad usage.
fn refused(error: AsyncError) -> CliError {
    match error {
        AsyncError::Gateway(_) => CliError::Failed(error.into()),
        AsyncError::Limit { .. } | AsyncError::NotInThisEdition | AsyncError::Listen { .. } => {
            CliError::Usage(error.to_string())
        }
    }
}

fn line(call: &AsyncCall) -> String {
    let ms = |duration: Duration| format!("{:.1} ms", duration.as_secs_f64() * 1e3);
    let accepted = ms(call.accepted.saturating_sub(call.submitted));
    let status = call.status;
    match (call.latency(), &call.called_back) {
        (Some(latency), Some(back)) => {
            let took = back.function_duration.map(|d| format!(", of them {} in the function", ms(d)));
            let function =
                back.function_status.map_or_else(String::new, |s| format!(", function's status {s}"));
            format!(
                "{}: {status} after {accepted}, call-back after {}{}{function}",
                call.id,
                ms(latency),
                took.unwrap_or_default()
            )
        }
        _ => format!("{}: {status} after {accepted}, no call-back in time", call.id),
    }
}

fn as_json(call: &AsyncCall) -> serde_json::Value {
    json!({
        "call_id": call.id,
        "status": call.status,
        "accepted_ms": call.accepted.saturating_sub(call.submitted).as_secs_f64() * 1e3,
        "latency_ms": call.latency().map(|latency| latency.as_secs_f64() * 1e3),
        "function_status": call.called_back.as_ref().and_then(|back| back.function_status),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platforms::openfaas::asynchronous::CalledBack;

    fn call(back: Option<u64>) -> AsyncCall {
        AsyncCall {
            id: "c1".into(),
            submitted: Duration::from_millis(100),
            accepted: Duration::from_millis(104),
            status: 202,
            called_back: back.map(|ms| CalledBack {
                at: Duration::from_millis(ms),
                function_status: Some(200),
                function_duration: Some(Duration::from_millis(30)),
                body: bytes::Bytes::new(),
            }),
        }
    }

    #[test]
    fn a_call_is_shown_from_its_submission_to_its_call_back() {
        assert_eq!(
            line(&call(Some(160))),
            "c1: 202 after 4.0 ms, call-back after 60.0 ms, of them 30.0 ms in the function, function's status 200"
        );
        assert_eq!(line(&call(None)), "c1: 202 after 4.0 ms, no call-back in time");
        assert_eq!(as_json(&call(None))["latency_ms"], serde_json::Value::Null);
    }
}
