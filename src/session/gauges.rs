//! The metrics that are looked up when somebody scrapes: clients, pools, servers.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use crate::observe::{Samples, families};
use crate::region::Region;
use crate::topology::{Lag, Topology};

use super::Services;
use super::show_topology::{is_up, latency_of};

/// Makes the metrics of `services` ask it at every scrape.
pub fn watch(services: &Arc<Services>) {
    let weak: Weak<Services> = Arc::downgrade(services);
    services.metrics.add_source(Box::new(move |samples| {
        if let Some(services) = weak.upgrade() {
            collect(&services, samples);
        }
    }));
}

fn collect(services: &Services, samples: &mut Samples) {
    let all = services.registry.count();
    let idle = services.registry.count_idle().min(all);
    samples.set(&families::CONNECTIONS, &["idle"], idle as f64);
    samples.set(&families::CONNECTIONS, &["active"], (all - idle) as f64);
    let memory = &services.memory;
    for (of, bytes) in
        [("clients", memory.used()), ("process", memory.total()), ("limit", memory.process_max())]
    {
        samples.set(&families::MEMORY_BYTES, &[of], bytes as f64);
    }
    samples.set(&families::MEMORY_REFUSED, &[], memory.refused() as f64);
    let mut pinned: BTreeMap<&'static str, u32> = BTreeMap::new();
    for reason in services.registry.list().iter().filter_map(|session| session.pin()) {
        *pinned.entry(reason).or_default() += 1;
    }
    for (reason, count) in pinned {
        samples.set(&families::SESSIONS_PINNED, &[reason], f64::from(count));
    }
    let topology = services.topology();
    for ((_, server), pool) in topology.servers().zip(&services.pools) {
        let address = server.address.to_string();
        let usage = pool.usage();
        let family = &families::BACKEND_CONNECTIONS;
        samples.set(family, &[&address, "in_use"], usage.in_use as f64);
        samples.set(family, &[&address, "idle"], usage.idle as f64);
    }
    collect_shards(&topology, samples);
    let serving = services.serving.load();
    let version = serving.stable().number();
    samples.set(&families::VSCHEMA_VERSION, &[], version as f64);
    let weight = serving.split().map_or(0, |split| split.weight().basis_points());
    samples.set(&families::CANARY_WEIGHT, &[], f64::from(weight) / 10_000.0);
    let reloads = services.steward.reloads();
    for (result, count) in [("accepted", &reloads.accepted), ("refused", &reloads.refused)] {
        let count = count.load(Ordering::Relaxed) as f64;
        samples.set(&families::VSCHEMA_RELOADS, &[result], count);
    }
    let counts = || serving.generations().map(|generation| generation.plans().counts());
    let entries: u64 = counts().map(|counts| counts.entries).sum();
    let draft = if services.steward.draft().is_some() { 1.0 } else { 0.0 };
    samples.set(&families::VSCHEMA_DRAFT, &[], draft);
    samples.set(&families::PLAN_CACHE_ENTRIES, &[], entries as f64);
    let evictions: u64 = counts().map(|counts| counts.evictions).sum();
    samples.set(&families::PLAN_CACHE_EVICTIONS, &[], evictions as f64);
    let geography = &services.geography;
    let from = geography.local.as_ref().map_or("", Region::as_str);
    for to in &geography.regions {
        if let Some(latency) = latency_of(&topology, to) {
            let labels = [from, to.as_str()];
            samples.set(&families::REGION_LATENCY, &labels, latency.as_secs_f64());
        }
    }
}

/// What is known of every shard and of the servers that hold it.
fn collect_shards(topology: &Topology, samples: &mut Samples) {
    for shard in topology.all_shards() {
        let keyspace = topology.keyspace(shard.keyspace());
        let (keyspace, name) = (&*keyspace.name, keyspace.shard_map().name(shard.index()));
        let on = |holds: bool| if holds { 1.0 } else { 0.0 };
        let primary = topology.live_primary(shard).is_some();
        samples.set(&families::SHARD_PRIMARY, &[keyspace, name], on(primary));
        let split = topology.rivals(shard).next().is_some();
        samples.set(&families::SPLIT_BRAIN, &[keyspace, name], on(split));
        for id in topology.holders(shard) {
            let server = topology.server(*id);
            let address = server.address.to_string();
            let region = server.region.as_ref().map_or("", Region::as_str);
            let labels = [keyspace, name, &address, server.role().name(), region];
            samples.set(&families::SERVER_UP, &labels, on(is_up(server)));
            if let Lag::Estimated(lag) = server.health.lag {
                let labels = [keyspace, name, &address];
                samples.set(&families::REPLICATION_LAG, &labels, lag.as_secs_f64());
            }
        }
    }
}
