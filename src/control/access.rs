//! Bearer tokens and roles (RFC 6750).
//!
//! Without any token in the configuration reads are open and changes are refused by name: the
//! listener is on the loopback interface by default.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};

use super::ControlState;
use super::answer::Failure;
use crate::canary::Actor;
use crate::clock;
use crate::config::{Role, Token};

/// Whoever may read.
#[derive(Debug)]
pub(super) struct Viewer;

/// Whoever may run a canary.
#[derive(Debug)]
pub(super) struct Operator(pub(super) Actor);

/// Whoever may change the VSchema.
#[derive(Debug)]
pub(super) struct Admin(pub(super) Actor);

impl FromRequestParts<Arc<ControlState>> for Viewer {
    type Rejection = Failure;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &Arc<ControlState>,
    ) -> Result<Self, Failure> {
        let rules = state.rules.load();
        if !rules.tokens.is_empty() {
            authorize(&parts.headers, &rules.tokens, Role::Viewer)?;
        }
        Ok(Self)
    }
}

impl FromRequestParts<Arc<ControlState>> for Operator {
    type Rejection = Failure;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &Arc<ControlState>,
    ) -> Result<Self, Failure> {
        authorize(&parts.headers, &state.rules.load().tokens, Role::Operator).map(Self)
    }
}

impl FromRequestParts<Arc<ControlState>> for Admin {
    type Rejection = Failure;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &Arc<ControlState>,
    ) -> Result<Self, Failure> {
        authorize(&parts.headers, &state.rules.load().tokens, Role::Admin).map(Self)
    }
}

/// The one whose token is in the request, if it allows `needed`.
fn authorize(headers: &HeaderMap, tokens: &[Token], needed: Role) -> Result<Actor, Failure> {
    if tokens.is_empty() {
        let what = "changes need a token; add a [[control.token]] to the configuration";
        return Err(Failure::new(StatusCode::FORBIDDEN, "no_tokens", what));
    }
    let given = headers.get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    let Some(given) = given else {
        let what = "a bearer token is needed: Authorization: Bearer TOKEN";
        return Err(Failure::new(StatusCode::UNAUTHORIZED, "unauthorized", what));
    };
    // Every token is compared, so that the time tells nothing about which one was near.
    let mut found = None;
    for (index, token) in tokens.iter().enumerate() {
        let known = token.secret.reveal().as_bytes();
        if aws_lc_rs::constant_time::verify_slices_are_equal(known, given).is_ok() {
            found = found.or(Some((index, token.role)));
        }
    }
    let Some((index, role)) = found else {
        return Err(Failure::new(StatusCode::UNAUTHORIZED, "unauthorized", "unknown token"));
    };
    if role < needed {
        let what = format!("this needs a token of role {}, not {}", name(needed), name(role));
        return Err(Failure::new(StatusCode::FORBIDDEN, "forbidden", what));
    }
    let name = format!("token {} ({})", index + 1, name(role));
    Ok(Actor { name, at: clock::unix_seconds() })
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Operator => "operator",
        Role::Admin => "admin",
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;

    use super::*;
    use crate::config::Secret;

    fn outcome(tokens: &[Token], header: Option<&str>, needed: Role) -> Result<String, u16> {
        let mut headers = HeaderMap::new();
        if let Some(value) = header {
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        let answer = authorize(&headers, tokens, needed);
        answer.map(|a| a.name).map_err(|failure| failure.into_response().status().as_u16())
    }

    #[test]
    fn a_role_includes_those_before_it() {
        let token = |text: &str, role| Token { secret: Secret::new(text), role };
        let tokens = [token("see", Role::Viewer), token("run", Role::Operator)];
        let who = |header, needed| outcome(&tokens, header, needed);
        assert_eq!(who(Some("Bearer see"), Role::Viewer), Ok("token 1 (viewer)".to_owned()));
        assert_eq!(who(Some("bearer  run "), Role::Viewer), Ok("token 2 (operator)".to_owned()));
        assert_eq!(who(Some("Bearer run"), Role::Operator), Ok("token 2 (operator)".to_owned()));
        assert_eq!(who(Some("Bearer see"), Role::Operator), Err(403));
        assert_eq!(who(Some("Bearer run"), Role::Admin), Err(403));
        for unknown in [None, Some("Bearer "), Some("Bearer ru"), Some("Basic run"), Some("run")] {
            assert_eq!(who(unknown, Role::Viewer), Err(401), "{unknown:?}");
        }
        assert_eq!(outcome(&[], Some("Bearer "), Role::Operator), Err(403));
    }
}
