//! How the browser is started: without a window, without a network, the same way each time.

use std::ffi::OsString;
use std::path::Path;

/// What it is always told. Sources: Chromium's `*_switches.cc`, Puppeteer's `ChromeLauncher.ts`.
const ALWAYS: [&str; 37] = [
    "--headless",
    // Nothing is open but what is asked for.
    "--no-startup-window",
    "--remote-debugging-pipe",
    // No network. The first line is the interception of every request (fence.rs), the last, where the
    // container allows it, an empty network namespace (launcher.rs). These hold for what is not
    // intercepted, such as WebSockets: no name resolves, no address is reached but by a proxy that
    // is not there, and no datagram is sent.
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--proxy-server=http://nowhere.invalid:9",
    "--proxy-bypass-list=<-loopback>",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--disable-quic",
    "--dns-prefetch-disable",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-client-side-phishing-detection",
    "--disable-sync",
    "--no-pings",
    // Nothing beside the pages.
    "--disable-extensions",
    "--disable-default-apps",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--metrics-recording-only",
    "--password-store=basic",
    "--mute-audio",
    "--disable-gpu",
    // Containers give 64 MiB of shared memory.
    "--disable-dev-shm-usage",
    // One process for each page, its frames included: fewer processes, and one session sees all.
    "--disable-site-isolation-trials",
    "--disable-features=IsolateSandboxedIframes,IsolateOrigins,site-per-process,Translate,OptimizationHints,\
        MediaRouter,DialMediaRouteProvider,BackForwardCache,Prerender2,AutofillServerCommunication,\
        CertificateTransparencyComponentUpdater,LazyImageLoading",
    // The same page gives the same PDF.
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    "--hide-scrollbars",
    "--lang=en-GB",
    "--window-size=794,1123",
    "--js-flags=--random-seed=1",
    // A page in the background is as quick as another.
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
];

/// The arguments of a browser that keeps its files in `folder`.
pub fn flags(folder: &Path, sandbox: bool) -> Vec<OsString> {
    let mut profile = OsString::from("--user-data-dir=");
    profile.push(folder.join("profile"));
    let mut flags: Vec<OsString> = ALWAYS.iter().map(OsString::from).collect();
    flags.push(profile);
    if !sandbox {
        flags.push("--no-sandbox".into());
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sandbox_is_left_out_only_when_told() {
        let has = |sandbox| flags(Path::new("/x"), sandbox).contains(&OsString::from("--no-sandbox"));
        assert!(!has(true) && has(false));
        assert!(flags(Path::new("/x"), true).contains(&OsString::from("--user-data-dir=/x/profile")));
    }
}
