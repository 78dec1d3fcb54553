//! What a changed configuration changes without a restart, and what it does not.
//!
//! A configuration with a mistake changes nothing. Certificates are read again whatever the text
//! says: they are renewed under the same name.

use std::sync::Arc;

use super::{App, StartError, policy};
use crate::config::Config;
use crate::control::Rules;

/// What came of a reload, in the names of the configuration's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// Changed keys that hold from now on.
    pub changed: Vec<&'static str>,
    /// Changed keys that hold after a restart.
    pub needs_restart: Vec<&'static str>,
}

impl App {
    /// Takes over what can be taken over while clients are served.
    pub fn reload(&self, new: &Config) -> Result<Reloaded, StartError> {
        let mut current = self.config.lock();
        // It may fail, for example for a certificate, so it comes first.
        self.frontend.set_policy(policy(new, &self.services.server_version)?);
        self.control.rules.store(Arc::new(Rules::of(new)));
        Ok(take_over(&mut current, new))
    }
}

/// Writes a list of the keys whose values differ.
macro_rules! differing {
    ($old:ident, $new:ident: $($key:literal = $($field:ident).+;)*) => {{
        let keys = [$(($key, $old.$($field).+ != $new.$($field).+)),*];
        keys.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }};
}

/// Writes the same list, and takes the values over.
macro_rules! taking {
    ($old:ident, $new:ident: $($key:literal = $($field:ident).+;)*) => {{
        let keys = differing! { $old, $new: $($key = $($field).+;)* };
        $($old.$($field).+.clone_from(&$new.$($field).+);)*
        keys
    }};
}

fn take_over(old: &mut Config, new: &Config) -> Reloaded {
    Reloaded {
        changed: taking! { old, new:
            "listen.proxy_protocol" = listen.trusted_proxies;
            "listen.compression" = listen.compression;
            "listen.collation" = listen.collation;
            "control.token" = tokens;
            "control.unready_without_primary" = unready_without;
            "tls" = tls;
        },
        needs_restart: differing! { old, new:
            "proxy.region" = region;
            "proxy.workers" = workers;
            "proxy.consistent_snapshot" = consistent_snapshot;
            "proxy.reference_copies" = reference_copies;
            "proxy.split_brain" = split_brain;
            "proxy.pass_attributes" = pass_attributes;
            "listen.mysql" = listen.addresses;
            "listen.socket" = listen.socket;
            "listen.server_version" = listen.server_version;
            "control.address" = control;
            "control.state" = state;
            "vschema.path" = vschema;
            "backend" = backend;
            "user" = users;
            "region" = regions;
            "region.clients" = client_regions;
            "keyspace" = keyspaces;
            "limits" = limits;
        },
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse;

    const TEXT: &str = "[vschema]\npath = \"vschema\"\n[backend]\nuser = \"u\"\npassword = \"a\"\n\
         [[keyspace]]\nname = \"app\"\n[[keyspace.shard]]\n[[keyspace.shard.server]]\n\
         address = \"127.0.0.1:1\"\n";

    #[test]
    fn changed_keys_are_named() {
        let read = |text: &str| parse(text, Path::new("/etc/geogate")).unwrap();
        let mut old = read(TEXT);
        let none = Reloaded { changed: Vec::new(), needs_restart: Vec::new() };
        assert_eq!(take_over(&mut old, &read(TEXT)), none);
        let new = TEXT.replace("\"a\"", "\"b\"").replace("127.0.0.1:1", "127.0.0.1:2");
        let new = new
            + "[tls]\nmode = \"required\"\n[[control.token]]\ntoken = \"t\"\n\
                         role = \"admin\"\n[limits]\nfan_out_max = 7\n";
        let found = take_over(&mut old, &read(&new));
        assert_eq!(found.changed, ["control.token", "tls"]);
        assert_eq!(found.needs_restart, ["backend", "keyspace", "limits"]);
        let again = take_over(&mut old, &read(&new));
        assert_eq!(again.changed, [""; 0], "they are taken over");
        assert_eq!(again.needs_restart, ["backend", "keyspace", "limits"]);
    }
}
