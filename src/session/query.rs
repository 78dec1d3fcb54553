//! COM_QUERY: receive, admit, classify, run.

use crate::net::Packet;
use crate::sql::control::{self, Control};
use crate::sql::statement_kind::StatementKind;

use super::Session;
use super::answer::{Answer, Instead, Ran, Way, Went};
use super::connections::Mode;
use super::request::{self, Request, Source, Understood, malformed_attributes};
use super::several::{self, Split};
use super::{
    builtin, databases, diagnostics, fill_in, forward, hot, inspect, kill, own_variables,
    table_locks, tally, text_prepared, transaction, use_database, variables,
};

/// What a statement is.
enum Class {
    /// For the servers.
    Servers,
    /// It is answered.
    Answered(Answer),
    /// About the session rather than about rows.
    Control(Box<Control>),
    /// GET DIAGNOSTICS, for the server that remembers them.
    Diagnostics,
}

impl Session {
    /// COM_QUERY.
    pub(super) async fn query(&mut self, packet: Packet) -> Ran {
        if self.client.sends_attributes()
            && self.client.attributes.read_query(self.client.framed.payload(packet)).is_err()
        {
            return Err(malformed_attributes().into());
        }
        let text = self.client.text(packet);
        let scanned = self.state.scan.run(text, self.connections.mirror.lex_mode);
        if scanned.is_ok() && (self.state.scan.end() as usize) < text.len() {
            let several = several::split(text, &self.state.scan);
            if several != Split::Only {
                return Box::pin(self.several_statements(packet, several)).await;
            }
        }
        let understood = Understood::of(&scanned);
        if understood == Understood::Yes {
            let Self { client, connections, state, prepared, .. } = self;
            if let Some(hot) = hot::begin(client, connections, state, prepared, packet) {
                let ran = match hot {
                    Ok(hot) => hot::finish(client, connections, state, packet, hot).await,
                    Err(stop) => Err(stop),
                };
                tally::end_tally(connections, state);
                return ran;
            }
        }
        self.statement(Source::Packet(packet), understood).await
    }

    /// One statement of text, whose tokens are the session's scan if it is understood.
    pub(super) async fn statement(&mut self, source: Source, understood: Understood) -> Ran {
        let kind = match understood {
            Understood::Yes => self.state.scan.kind(),
            Understood::No => StatementKind::Other,
        };
        tally::begin_tally(&mut self.state, kind);
        let ran = self.run_text(source, understood).await;
        tally::end_tally(&self.connections, &mut self.state);
        ran
    }

    async fn run_text(&mut self, source: Source, understood: Understood) -> Ran {
        let Self { client, connections, state, prepared, .. } = self;
        let coming = understood.coming(&source);
        let admitted = request::admit_at_once(client, connections, state, prepared, coming);
        let admitted = match admitted {
            Some(admitted) => admitted?,
            None => request::admit(client, connections, state, prepared, coming).await?,
        };
        let mut request = admitted.with(source);
        if fill_in::fills_head(&request) {
            let filled = fill_in::filled_head(client, connections, state, request);
            request = Box::pin(filled).await;
        }
        let way = match self.classify(&request) {
            Class::Servers => Way::Servers(request.kind(), request.features()),
            Class::Answered(answer) => {
                if self.connections.attached.have_held() {
                    // No statement of its server's asks for what it remembers.
                    Box::pin(self.connections.drop_held()).await;
                }
                return Ok(answer);
            }
            Class::Control(about) => Box::pin(self.control(&request, about)).await?,
            Class::Diagnostics => {
                let Self { client, connections, state, .. } = self;
                diagnostics::go_to_diagnostics(client, connections, state).await?;
                Way::Servers(request.kind(), request.features())
            }
        };
        match way {
            Way::Answered(answer) => Ok(answer),
            Way::Servers(kind, features) => {
                let Self { client, connections, state, .. } = self;
                let request = request.of(kind, features);
                match connections.mode {
                    Mode::Single(shard) => {
                        forward::pass_through(client, connections, state, request, shard).await
                    }
                    Mode::Several => forward::route(client, connections, state, request).await,
                }
            }
            Way::Instead(instead) => Box::pin(self.run_instead(instead)).await,
        }
    }

    /// Answers what is about the session and no server has to be asked; says what the rest is.
    fn classify(&mut self, request: &Request) -> Class {
        let Self { client, connections, state, .. } = self;
        let text = request.text(client);
        if let Ok(Some(about)) = control::parse(text, connections.mirror.lex_mode, &state.scan) {
            return Class::Control(Box::new(about));
        }
        if let Some(builtin) = builtin::builtin(connections, state, text, request.features()) {
            diagnostics::forget_warnings(connections);
            return Class::Answered(builtin.answer());
        }
        if let Some(answer) =
            own_variables::select_own_variables(connections, state, text, request.features())
        {
            return Class::Answered(answer);
        }
        diagnostics::recall(connections, request.kind(), request.features(), text);
        match request.kind() {
            StatementKind::Diagnostics => Class::Diagnostics,
            _ => Class::Servers,
        }
    }

    /// A statement about the session rather than about rows.
    async fn control(&mut self, request: &Request, control: Box<Control>) -> Went {
        let Self { client, connections, state, prepared, .. } = self;
        match *control {
            Control::Transaction(it) => {
                transaction::transaction_statement(client, connections, state, request, it).await
            }
            Control::Set(it) => variables::set(client, connections, state, request, &it).await,
            Control::Use(_) => use_database::statement(client, connections, state, request).await,
            Control::Kill(it) => {
                kill::kill_statement(client, connections, state, request, it).await
            }
            Control::Show(it) => builtin::show(client, connections, state, request, &it).await,
            Control::Prepared(it) => {
                text_prepared::text_prepared(client, connections, state, prepared, request, it)
                    .await
            }
            Control::Explain(it) => inspect::explain(client, connections, state, request, it).await,
            Control::Database(it) => {
                databases::database_statement(client, connections, state, request, it).await
            }
            Control::TableLocks(it) => {
                table_locks::table_locks(client, connections, state, request, it).await
            }
        }
    }

    /// Runs a text in the place of the client's statement: what it names is looked up where it was
    /// prepared.
    pub(super) async fn run_instead(&mut self, Instead { source, place }: Instead) -> Ran {
        let text = source.text(&self.client).to_vec();
        let scanned = self.state.scan.run(&text, self.connections.mirror.lex_mode);
        let understood = Understood::of(&scanned);
        let Some(place) = place else { return self.run_text(source, understood).await };
        let now = self.state.move_to(place.clone());
        let ran = self.run_text(source, understood).await;
        // The end of the database moves the session for good.
        if self.state.place() == place {
            self.state.move_to(now);
        }
        ran
    }
}
