//! The flags that say how the load generator uses connections; shared by `compare`, `run` and `load`.

use crate::drive::{ConnectionPolicy, Protocol, Reuse};

/// How connections are used.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct ConnectionArgs {
    /// Open a new connection for each request (default: keep them open and use them again)
    #[arg(long)]
    pub new_connections: bool,
    /// Open loop: connections to each endpoint at most; a request that finds all of them busy waits
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub pool: Option<u32>,
    /// What is spoken: HTTP/1.1, or HTTP/2 with prior knowledge (over TLS: by ALPN)
    #[arg(long, value_enum, value_name = "VERSION")]
    pub http: Option<Protocol>,
}

impl ConnectionArgs {
    /// The flags on top of a policy.
    pub fn over(&self, policy: ConnectionPolicy) -> ConnectionPolicy {
        ConnectionPolicy {
            reuse: if self.new_connections { Reuse::PerRequest } else { policy.reuse },
            pool: self.pool.or(policy.pool),
            protocol: self.http.unwrap_or(policy.protocol),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ConnectionArgs,
    }

    #[test]
    fn flags_go_before_the_file_and_what_is_not_said_stays() {
        let of_file = ConnectionPolicy { pool: Some(8), ..ConnectionPolicy::default() };
        let args = |line: &str| Line::try_parse_from(line.split_whitespace()).unwrap().args;
        assert_eq!(args("load").over(of_file), of_file);
        assert_eq!(
            args("load --new-connections --pool 2 --http http2").over(of_file),
            ConnectionPolicy { reuse: Reuse::PerRequest, pool: Some(2), protocol: Protocol::Http2 }
        );
        assert!(Line::try_parse_from(["load", "--pool", "0"]).is_err());
    }
}
