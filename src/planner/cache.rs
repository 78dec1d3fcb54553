//! The plan cache of one generation: bounded, shared by all workers, read without allocation.
//!
//! [`PlanKeyRef`] lists everything that a plan depends on besides the VSchema; the VSchema is not
//! in it because a cache never outlives its generation. A statement that could not be planned is
//! not cached: the next one is tried again.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::{DefaultHashBuilder, Equivalent, Lifecycle, UnitWeighter, sync};

use crate::key::Destination;
use crate::sql::mode::LexMode;
use crate::vschema::Strictness;

use super::input::Target;

/// Everything a plan depends on, borrowed from the session for a look.
#[derive(Clone, Copy, Debug)]
pub struct PlanKeyRef<'a> {
    /// The statement without its literals and comments.
    pub skeleton: &'a [u8],
    /// Default keyspace, shard and tablet type.
    pub target: &'a Target,
    /// How text is read: sql_mode bits and the class of the client's character set.
    pub lex_mode: LexMode,
    /// Whether Vitess' silences are accepted.
    pub strictness: Strictness,
}

/// The owned form of a [`PlanKeyRef`].
#[derive(Clone, Debug)]
pub struct PlanKey {
    skeleton: Box<[u8]>,
    target: Target,
    lex_mode: LexMode,
    strictness: Strictness,
}

impl PlanKeyRef<'_> {
    /// A copy to keep.
    pub fn to_owned(self) -> PlanKey {
        PlanKey {
            skeleton: self.skeleton.into(),
            target: self.target.clone(),
            lex_mode: self.lex_mode,
            strictness: self.strictness,
        }
    }
}

impl PlanKey {
    /// The borrowed form.
    pub fn as_ref(&self) -> PlanKeyRef<'_> {
        PlanKeyRef {
            skeleton: &self.skeleton,
            target: &self.target,
            lex_mode: self.lex_mode,
            strictness: self.strictness,
        }
    }
}

impl PartialEq for PlanKeyRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        // Taken apart so that a new field cannot be forgotten here.
        let Self { skeleton, target, lex_mode, strictness } = *self;
        let Target { keyspace, destination, tablet_type } = target;
        skeleton == other.skeleton
            && *keyspace == other.target.keyspace
            && *destination == other.target.destination
            && *tablet_type == other.target.tablet_type
            && lex_mode == other.lex_mode
            && strictness == other.strictness
    }
}

impl Eq for PlanKeyRef<'_> {}

impl Hash for PlanKeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.skeleton);
        self.target.keyspace.as_deref().hash(state);
        // Other destinations are rare and are told apart by comparison.
        if let Some(Destination::Shard(name)) = &self.target.destination {
            name.hash(state);
        }
        self.target.tablet_type.hash(state);
        self.lex_mode.hash(state);
    }
}

impl PartialEq for PlanKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for PlanKey {}

impl Hash for PlanKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl Equivalent<PlanKey> for PlanKeyRef<'_> {
    fn equivalent(&self, key: &PlanKey) -> bool {
        *self == key.as_ref()
    }
}

/// What a plan cache did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanCacheCounts {
    /// Looks that found a plan.
    pub hits: u64,
    /// Looks that found none.
    pub misses: u64,
    /// Plans that made room for others.
    pub evictions: u64,
    /// Plans held now.
    pub entries: u64,
}

/// Plans of type `P` by [`PlanKey`].
pub struct PlanCache<P> {
    plans: sync::Cache<PlanKey, Arc<P>, UnitWeighter, DefaultHashBuilder, CountEvictions>,
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: Arc<AtomicU64>,
}

impl<P> PlanCache<P> {
    /// A cache for `entries` plans, at least one (`limits.plan_cache_entries`).
    pub fn new(entries: usize) -> Self {
        let entries = entries.max(1);
        let evictions = Arc::new(AtomicU64::new(0));
        let plans = sync::Cache::with(
            entries,
            entries as u64,
            UnitWeighter,
            DefaultHashBuilder::default(),
            CountEvictions(Arc::clone(&evictions)),
        );
        Self { plans, hits: AtomicU64::new(0), misses: AtomicU64::new(0), evictions }
    }

    /// The plan under this key.
    #[inline]
    pub fn find(&self, key: &PlanKeyRef<'_>) -> Option<Arc<P>> {
        let found = self.plans.get(key);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Keeps a plan, in place of the one that another worker may have made meanwhile.
    pub fn insert(&self, key: PlanKey, plan: Arc<P>) {
        self.plans.insert(key, plan);
    }

    /// Every key and plan, in no order.
    pub fn entries(&self) -> Vec<(PlanKey, Arc<P>)> {
        self.plans.iter().collect()
    }

    /// What it did so far.
    pub fn counts(&self) -> PlanCacheCounts {
        PlanCacheCounts {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
            entries: self.plans.len() as u64,
        }
    }
}

impl<P> std::fmt::Debug for PlanCache<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PlanCache").field(&self.counts()).finish()
    }
}

/// Counts what the cache drops for want of room.
#[derive(Clone, Debug)]
struct CountEvictions(Arc<AtomicU64>);

impl<K, V> Lifecycle<K, V> for CountEvictions {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), _: K, _: V) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::mode::DoubleQuote;
    use crate::vschema::TabletType;

    fn target(keyspace: &str) -> Target {
        Target { keyspace: Some(keyspace.into()), ..Target::default() }
    }

    fn key<'a>(skeleton: &'a str, target: &'a Target) -> PlanKeyRef<'a> {
        let lex_mode = LexMode::default();
        let strictness = Strictness::Strict;
        PlanKeyRef { skeleton: skeleton.as_bytes(), target, lex_mode, strictness }
    }

    #[test]
    fn every_input_makes_another_key() {
        let shop = target("shop");
        let cache = PlanCache::new(10);
        let stored = key("select \0i", &shop);
        cache.insert(stored.to_owned(), Arc::new(1));
        assert_eq!(cache.find(&stored).as_deref(), Some(&1));
        let lex_mode = LexMode { double_quote: DoubleQuote::Identifier, ..LexMode::default() };
        let replica = Target { tablet_type: TabletType::Replica, ..shop.clone() };
        let shard = |destination| Target { destination: Some(destination), ..shop.clone() };
        let low = shard(Destination::Shard("-80".to_owned()));
        let all = shard(Destination::AllShards);
        let other = target("other");
        let others = [
            key("select \0s", &shop),
            key("select \0i", &other),
            key("select \0i", &replica),
            key("select \0i", &low),
            key("select \0i", &all),
            PlanKeyRef { lex_mode, ..stored },
            PlanKeyRef { strictness: Strictness::Lenient, ..stored },
        ];
        for (number, key) in others.iter().enumerate() {
            assert_eq!(cache.find(key), None, "{key:?}");
            cache.insert((*key).to_owned(), Arc::new(number + 2));
        }
        for (number, key) in others.iter().enumerate() {
            assert_eq!(cache.find(key).as_deref(), Some(&(number + 2)));
        }
        let counts = cache.counts();
        assert_eq!((counts.hits, counts.misses, counts.entries), (8, 7, 8));
        assert_eq!(cache.entries().len(), 8);
    }

    #[test]
    fn it_stays_within_its_bound_and_counts_what_it_drops() {
        let shop = target("shop");
        let cache = PlanCache::new(16);
        for number in 0..200 {
            let text = format!("select {number}");
            cache.insert(key(&text, &shop).to_owned(), Arc::new(number));
        }
        let counts = cache.counts();
        assert!(counts.entries <= 16, "{counts:?}");
        assert_eq!(counts.evictions + counts.entries, 200, "{counts:?}");
    }
}
