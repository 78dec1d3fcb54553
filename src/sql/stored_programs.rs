//! What statements leave behind in a session though their text does not tell: through the triggers
//! of the tables that they name, and through the functions of views.
//!
//! Known are the texts of all triggers, routines and views of the servers. A table or a view counts
//! if a text that belongs to it leaves something behind, or names a table, a view or a routine that
//! counts; a trigger only where the text has a verb that runs it. Names are compared as words,
//! without case and without databases: too much may be found, but nothing is missed. Routines that
//! a statement calls itself are read by [`effects`](super::effects), with these names in mind.

use memchr::memmem;

use super::effects::{Effect, Name, effects_of_body};
use super::mode::LexMode;

/// A text that a server runs for whoever uses the thing that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredText {
    /// What it belongs to.
    pub owner: Owner,
    /// The name of that.
    pub name: String,
    /// The sql_mode that it is read in.
    pub sql_mode: String,
    /// The text; `None` if Geogate's account may not see it.
    pub text: Option<String>,
}

/// What a stored text belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A table: the text is that of a trigger for this.
    Table(Event),
    /// A view.
    View,
    /// A function, a procedure or a package.
    Routine,
}

/// What is done to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// Rows are added.
    Insert,
    /// Rows are changed.
    Update,
    /// Rows are taken away.
    Delete,
}

/// All events, in their order.
const EVENTS: [Event; 3] = [Event::Insert, Event::Update, Event::Delete];

impl Event {
    /// An event by the name that `information_schema.TRIGGERS` has for it.
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "INSERT" => Some(Self::Insert),
            "UPDATE" => Some(Self::Update),
            "DELETE" => Some(Self::Delete),
            _ => None,
        }
    }

    /// The verbs of which a text in lower case must have one to be able to do it.
    fn verbs(self) -> &'static [&'static [u8]] {
        match self {
            Self::Insert => &[b"insert", b"replace", b"load"],
            Self::Update => &[b"update"],
            Self::Delete => &[b"delete", b"replace"],
        }
    }
}

/// The tables and views whose use leaves something behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredPrograms {
    leaving: Vec<Leaving>,
    /// The routines that set global variables, in lower case.
    global_setters: Vec<Vec<u8>>,
}

/// Something whose use leaves something behind.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Leaving {
    is_routine: bool,
    /// In lower case.
    name: Vec<u8>,
    /// What has to be done to it; `None` if any use does.
    event: Option<Event>,
    effects: Vec<Effect>,
}

impl StoredPrograms {
    /// Finds out which tables and views leave something behind.
    pub fn of(texts: &[StoredText]) -> Self {
        let mut all = Self::default();
        let is_routine = |name: &str| {
            let mut routines = texts.iter().filter(|text| text.owner == Owner::Routine);
            routines.any(|text| text.name.eq_ignore_ascii_case(name))
        };
        for text in texts {
            all.add(text, text.owner.event(), &own_effects(text, is_routine));
        }
        // What names something that leaves effects leaves them too, until nothing is new.
        let mut grows = !all.is_empty();
        while grows {
            grows = false;
            for text in texts {
                let Some(body) = text.text.as_deref().map(str::to_ascii_lowercase) else {
                    continue;
                };
                for (event, effects) in all.named_in(body.as_bytes()) {
                    // Writing to a view writes to its tables.
                    let event = match text.owner {
                        Owner::View => event,
                        _ if !happens(event, body.as_bytes()) => continue,
                        owner => owner.event(),
                    };
                    grows |= all.add(text, event, &effects);
                }
            }
        }
        let routines = all.leaving.iter().filter(|leaving| leaving.is_routine);
        let setters = routines.filter(|l| l.effects.contains(&Effect::GlobalVariable));
        all.global_setters = setters.map(|leaving| leaving.name.clone()).collect();
        all.leaving.retain(|leaving| !leaving.is_routine);
        all
    }

    /// Whether no statement leaves anything behind that its text does not tell.
    pub fn is_empty(&self) -> bool {
        self.leaving.is_empty()
    }

    /// Whether this is the call of a routine that sets global variables.
    pub fn sets_globals(&self, effect: &Effect) -> bool {
        let (Effect::Procedure(called) | Effect::Function(called)) = effect else { return false };
        let name = called.name.to_lowercase();
        self.global_setters.iter().any(|setter| setter == name.as_bytes())
    }

    /// What a statement with this text may leave behind because of the tables and views in it.
    pub fn effects_in(&self, text: &[u8]) -> Vec<Effect> {
        let mut found = Vec::new();
        if self.is_empty() {
            return found;
        }
        let text = text.to_ascii_lowercase();
        // Most statements only read, and most of what leaves something are triggers.
        let done = EVENTS.map(|event| happens(Some(event), &text));
        let possible = |leaving: &&Leaving| leaving.event.is_none_or(|event| done[event as usize]);
        for leaving in self.leaving.iter().filter(possible) {
            if names(&text, &leaving.name) {
                add_new(&mut found, &leaving.effects);
            }
        }
        found
    }

    /// What is named in a text in lower case: what has to be done to it, and what that leaves.
    fn named_in(&self, text: &[u8]) -> Vec<(Option<Event>, Vec<Effect>)> {
        let named = self.leaving.iter().filter(|leaving| names(text, &leaving.name));
        named.map(|leaving| (leaving.event, leaving.effects.clone())).collect()
    }

    /// Adds effects to what a text belongs to; whether any of them is new.
    fn add(&mut self, text: &StoredText, event: Option<Event>, effects: &[Effect]) -> bool {
        if effects.is_empty() {
            return false;
        }
        let is_routine = text.owner == Owner::Routine;
        let name = text.name.to_lowercase().into_bytes();
        let same = |l: &Leaving| l.is_routine == is_routine && l.name == name && l.event == event;
        let at = self.leaving.iter().position(same).unwrap_or_else(|| {
            self.leaving.push(Leaving { is_routine, name, event, effects: Vec::new() });
            self.leaving.len() - 1
        });
        add_new(&mut self.leaving[at].effects, effects)
    }
}

impl Owner {
    fn event(self) -> Option<Event> {
        match self {
            Self::Table(event) => Some(event),
            Self::View | Self::Routine => None,
        }
    }
}

/// Adds what is not there yet; whether anything was.
fn add_new(known: &mut Vec<Effect>, effects: &[Effect]) -> bool {
    let before = known.len();
    for effect in effects {
        if !known.contains(effect) {
            known.push(effect.clone());
        }
    }
    known.len() > before
}

/// Whether a text in lower case may do this to a table.
fn happens(event: Option<Event>, text: &[u8]) -> bool {
    let has = |verb: &&[u8]| memmem::find(text, verb).is_some();
    event.is_none_or(|event| event.verbs().iter().any(has))
}

/// What the text itself does. Calls of known routines are followed by name; a procedure that is not
/// known is one that Geogate's account may not see.
fn own_effects(stored: &StoredText, is_routine: impl Fn(&str) -> bool) -> Vec<Effect> {
    let asks = stored.text.as_deref().is_some_and(asks_insert_id).then_some(Effect::AsksInsertId);
    if stored.owner == Owner::View {
        return asks.into_iter().collect();
    }
    let Some(text) = &stored.text else { return vec![UNSEEN] };
    let mode = LexMode::default().with_sql_mode(stored.sql_mode.as_bytes());
    let mut effects = effects_of_body(text.as_bytes(), mode);
    for effect in &mut effects {
        let is_of_server = |name: &Name| {
            name.database.as_deref().is_some_and(|database| database.eq_ignore_ascii_case("sys"))
        };
        if let Effect::Procedure(name) = effect
            && !is_routine(&name.name)
            && !is_of_server(name)
        {
            *effect = UNSEEN;
        }
    }
    effects.retain(|effect| !matches!(effect, Effect::Procedure(_) | Effect::Function(_)));
    effects.extend(asks);
    effects
}

/// Whether a text may ask for the session's LAST_INSERT_ID().
fn asks_insert_id(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("last_insert_id") || text.contains("@identity") || text.contains(".identity")
}

const UNSEEN: Effect = Effect::Unknown("a stored program whose text the proxy may not see");

/// Whether a text in lower case may have this name in it.
pub(crate) fn names(text: &[u8], name: &[u8]) -> bool {
    // Quotes in names are doubled in the text, and other letters are written in the client's
    // character set.
    if !name.is_ascii() || name.iter().any(|byte| b"`\"".contains(byte)) {
        return true;
    }
    let is_word = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_$".contains(byte))
    };
    // A letter before the name may be the end of a character of several bytes.
    let only_words = text.is_ascii();
    memmem::find_iter(text, name).any(|at| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        !only_words || !is_word(before) && !is_word(text.get(at + name.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(owner: Owner, name: &str, text: &str) -> StoredText {
        let sql_mode = String::new();
        StoredText { owner, name: name.to_owned(), sql_mode, text: Some(text.to_owned()) }
    }

    fn variables(programs: &StoredPrograms, sql: &str) -> Vec<String> {
        let name = |effect: &Effect| match effect {
            Effect::UserVariable(name) => format!("@{name}"),
            other => format!("{other:?}"),
        };
        programs.effects_in(sql.as_bytes()).iter().map(name).collect()
    }

    #[test]
    fn effects_are_those_of_the_names_in_a_text() {
        let insert = Owner::Table(Event::Insert);
        let programs = StoredPrograms::of(&[
            stored(insert, "Orders", "BEGIN SELECT MAX(id) INTO @last FROM orders; END"),
            stored(insert, "audit", "IF @quiet IS NULL THEN SET NEW.at = NOW(); END IF"),
            stored(Owner::Table(Event::Update), "lines", "INSERT INTO `orders` VALUES (1)"),
            stored(Owner::Table(Event::Delete), "lines", "SET @n = (SELECT 1 FROM orders)"),
            stored(Owner::Routine, "f", "RETURN GET_LOCK('a', 1)"),
            stored(Owner::View, "locks", "select `d`.`f`() AS `l`"),
            stored(Owner::View, "open", "select `d`.`orders`.`id` AS `id` from `d`.`orders`"),
            stored(Owner::View, "plain", "select `d`.`g`() AS `l`"),
            stored(Owner::Routine, "nobody", "SET @x = 1"),
        ]);
        assert_eq!(variables(&programs, "insert into ORDERS values (1)"), ["@last"]);
        assert_eq!(variables(&programs, "UPDATE d.`lines` SET a = 1"), ["@last"]);
        assert_eq!(variables(&programs, "DELETE FROM lines"), ["@n"]);
        assert_eq!(variables(&programs, "REPLACE INTO lines VALUES (1)"), ["@n"]);
        assert_eq!(variables(&programs, "INSERT INTO open VALUES (1)"), ["@last"]);
        assert_eq!(variables(&programs, "SELECT * FROM locks"), ["UnknownLocks"]);
        assert!(variables(&programs, "SELECT * FROM orders, open, lines").is_empty());
        let harmless = "SELECT f(1), orders_2, borders, 'order' FROM audit, plain, nobody";
        assert!(variables(&programs, harmless).is_empty());
        assert_eq!(variables(&programs, "INSERT INTO ü.xorders VALUES (1)"), ["@last"]);
        assert!(!programs.is_empty());
        assert!(StoredPrograms::of(&[]).is_empty());
    }

    #[test]
    fn what_cannot_be_compared_is_found_everywhere() {
        let function = stored(Owner::Routine, "f", "SET @a = 1");
        for name in ["größe", "a`b"] {
            let programs =
                StoredPrograms::of(&[stored(Owner::View, name, "f()"), function.clone()]);
            assert_eq!(variables(&programs, "SELECT 1"), ["@a"], "{name}");
        }
        let hidden = StoredText { text: None, ..stored(Owner::Routine, "p", "") };
        let calls = stored(Owner::Table(Event::Delete), "t", "CALL p()");
        let alone = StoredPrograms::of(std::slice::from_ref(&calls));
        assert_eq!(alone.effects_in(b"DELETE FROM t").len(), 1, "a procedure that is not seen");
        let programs = StoredPrograms::of(&[calls, hidden]);
        assert_eq!(programs.effects_in(b"DELETE FROM t").len(), 1);
        assert!(programs.effects_in(b"DELETE FROM s").is_empty());
    }
}
