//! Which addresses a registry may send us to (realms, redirects): not into this machine or its link, unless
//! it is there itself.

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};

/// Whether a host, as a URL has it, is this machine by its name or address.
pub(super) fn is_loopback_host(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || ip(host).is_some_and(|ip| is_loopback(&ip))
}

fn ip(host: &str) -> Option<IpAddr> {
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    Some(host.parse::<IpAddr>().ok()?.to_canonical())
}

fn is_loopback(ip: &IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified()
}

fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast() || ip.is_multicast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.is_multicast(),
    }
}

/// What a registry may refer to.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    /// The registry's own host, as a URL has it.
    host: String,
    /// It is on this machine.
    loopback: bool,
    /// Hosts of proxies, whose names the user gave.
    proxies: Vec<String>,
}

impl Guard {
    /// For a registry.
    pub(super) fn new(base: &Url) -> Guard {
        let host = base.host_str().unwrap_or_default().to_owned();
        let names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
        let values = names.iter().filter_map(|n| std::env::var(n).ok());
        let parsed =
            values.filter_map(|v| Url::parse(&v).or_else(|_| Url::parse(&format!("http://{v}"))).ok());
        let proxies = parsed.filter_map(|u| u.host_str().map(str::to_owned)).collect();
        Guard { loopback: is_loopback_host(&host), host, proxies }
    }

    /// Whether a URL is on the registry's own host, at any port.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        url.host_str() == Some(&self.host)
    }

    /// Why a URL that came from the registry may not be asked; `secure`: what leads to it is HTTPS.
    pub(super) fn refuses(&self, url: &Url, secure: bool) -> Option<String> {
        let Some(host) = url.host_str() else {
            return Some("it has no host".into());
        };
        match url.scheme() {
            "https" => {}
            "http" if secure => return Some("it leads from HTTPS to plain HTTP".into()),
            "http" => {}
            other => return Some(format!("its scheme is {other:?}")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Some("it has a user name or password in it".into());
        }
        if self.is_own(url) {
            return None;
        }
        match ip(host) {
            Some(ip) => self.refuses_address(&ip).map(str::to_owned),
            None if is_loopback_host(host) && !self.loopback => Some("it leads into this machine".into()),
            None => None,
        }
    }

    fn refuses_address(&self, ip: &IpAddr) -> Option<&'static str> {
        let ip = ip.to_canonical();
        if is_loopback(&ip) && !self.loopback {
            return Some("it leads into this machine");
        }
        is_link_local(&ip).then_some("it leads to a link-local address")
    }
}

/// Resolves names that came from a registry: they may not stand for refused addresses either.
impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            let trusted = host == guard.host || guard.proxies.iter().any(|p| p == host);
            let (mut good, mut why) = (Vec::new(), None);
            for address in found {
                match guard.refuses_address(&address.ip()) {
                    Some(reason) if !trusted => why = Some(reason),
                    _ => good.push(address),
                }
            }
            match why {
                Some(reason) if good.is_empty() => {
                    Err(std::io::Error::other(format!("{host}: {reason}")).into())
                }
                _ => Ok(Box::new(good.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_registry_may_lead() {
        let url = |u: &str| Url::parse(u).unwrap();
        let public = Guard::new(&url("https://registry.example/"));
        let local = Guard::new(&url("http://localhost:5000/"));
        for (target, from_public, from_local) in [
            ("https://auth.example/token", true, true),
            ("https://registry.example:8443/token", true, true),
            ("https://10.1.2.3/token", true, true),
            ("http://auth.example/token", false, true),
            ("https://localhost/token", false, true),
            ("https://LOCALHOST./token", false, true),
            ("https://x.localhost/", false, true),
            ("https://127.0.0.1:1/", false, true),
            ("https://127.9.9.9/", false, true),
            ("https://2130706433/", false, true),
            ("https://0x7f.1/", false, true),
            ("https://0.0.0.0/", false, true),
            ("https://[::1]/", false, true),
            ("https://[::]/", false, true),
            ("https://[::ffff:127.0.0.1]/", false, true),
            ("https://169.254.169.254/latest", false, false),
            ("https://[fe80::1]/", false, false),
            ("https://[::ffff:169.254.169.254]/", false, false),
            ("https://224.0.0.1/", false, false),
            ("https://user@auth.example/", false, false),
            ("https://user:password@auth.example/", false, false),
            ("file:///etc/passwd", false, false),
            ("ftp://auth.example/", false, false),
            ("data:,x", false, false),
        ] {
            assert_eq!(public.refuses(&url(target), true).is_none(), from_public, "{target}");
            assert_eq!(local.refuses(&url(target), false).is_none(), from_local, "{target}");
        }
    }

    #[test]
    fn names_of_refused_addresses_are_refused() {
        let resolve = |guard: &Guard, name: &str| {
            let resolving = guard.resolve(name.parse().unwrap());
            let count = crate::executor::spawn(async move { resolving.await.map(|a| a.count()) });
            crate::executor::block_on(count.unwrap())
        };
        let public = Guard::new(&Url::parse("https://registry.example/").unwrap());
        assert!(resolve(&public, "localhost").is_err());
        let local = Guard::new(&Url::parse("http://127.0.0.1:5000/").unwrap());
        assert!(resolve(&local, "localhost").unwrap() > 0);
    }
}
