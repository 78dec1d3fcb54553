//! The scanner against recorded answers, in every cut, and against nonsense.

use proptest::prelude::*;

use super::*;
use crate::wire::err::ErrPacket;
use crate::wire::packet::write_packet;
use crate::wire::recorded;
use crate::wire::session_track::SessionChange;

const EOFS: Capabilities = Capabilities::PROTOCOL_41;
const DEPRECATE: Capabilities = Capabilities::DEPRECATE_EOF.union(Capabilities::SESSION_TRACK);

/// Every recorded answer, with what it answers.
const ANSWERS: &[(&[u8], Expect, Capabilities)] = &[
    (recorded::INSERT, Expect::Query, EOFS),
    (recorded::SELECT_EOF, Expect::Query, EOFS),
    (recorded::CALL_EOF, Expect::Query, EOFS),
    (recorded::CURSOR_EOF, Expect::Cursor, EOFS),
    (recorded::EXECUTE_EOF, Expect::Query, EOFS),
    (recorded::FETCH_EOF, Expect::Fetch, EOFS),
    (recorded::PREPARE_EOF, Expect::Prepare, EOFS),
    (recorded::PREPARE_NONE, Expect::Prepare, EOFS),
    (recorded::PREPARE_PARAM, Expect::Prepare, EOFS),
    (recorded::ERR, Expect::Query, EOFS),
    (recorded::ERR, Expect::Prepare, EOFS),
    (recorded::ERR, Expect::OkOrErr, EOFS),
    (recorded::FIELD_LIST_EOF, Expect::FieldList, EOFS),
    (recorded::STATISTICS, Expect::Statistics, EOFS),
    (recorded::SET_OPTION, Expect::OkOrErr, EOFS),
    (recorded::COMMIT, Expect::Query, DEPRECATE),
    (recorded::SELECT_DEPRECATE, Expect::Query, DEPRECATE),
    (recorded::MULTI_DEPRECATE, Expect::Query, DEPRECATE),
    (recorded::CALL_DEPRECATE, Expect::Query, DEPRECATE),
    (recorded::EXECUTE_DEPRECATE, Expect::Query, DEPRECATE),
    (recorded::CURSOR_DEPRECATE, Expect::Cursor, DEPRECATE),
    (recorded::FETCH_DEPRECATE, Expect::Fetch, DEPRECATE),
    (recorded::PREPARE_DEPRECATE, Expect::Prepare, DEPRECATE),
    (recorded::FIELD_LIST_DEPRECATE, Expect::FieldList, DEPRECATE),
    (recorded::LATE_ERROR, Expect::Query, DEPRECATE),
];

/// Feeds `bytes` with `feed`, over the ends of results that say what has changed.
fn feed_with(
    scanner: &mut ResponseScanner,
    bytes: &mut [u8],
    feed: impl Fn(&mut ResponseScanner, &mut [u8]) -> Result<Scan, Malformed>,
) -> Result<Scan, Malformed> {
    let mut done = 0;
    loop {
        match feed(scanner, &mut bytes[done..])? {
            Scan::Changes { at } => {
                assert!(scanner.outcome().status.contains(StatusFlags::MORE_RESULTS));
                assert_eq!(scanner.pending(), 0);
                done += at;
            }
            Scan::Finished { at } => return Ok(Scan::Finished { at: done + at }),
            scan => return Ok(scan),
        }
    }
}

fn feed(scanner: &mut ResponseScanner, bytes: &[u8]) -> Result<Scan, Malformed> {
    feed_with(scanner, &mut bytes.to_vec(), |scanner, bytes| scanner.feed(bytes))
}

/// Feeds `bytes` cut at `cuts`; the result must be the end of the whole.
fn scan_cut(
    bytes: &[u8],
    expect: Expect,
    capabilities: Capabilities,
    cuts: &[usize],
) -> ResponseScanner {
    let mut scanner = ResponseScanner::new();
    scanner.start(expect, capabilities, 1);
    let mut start = 0;
    for cut in cuts.iter().copied().take_while(|&cut| cut < bytes.len()) {
        let scan = feed(&mut scanner, &bytes[start..cut]);
        assert_eq!(scan, Ok(Scan::NeedMore), "{expect:?} at {cut} of {bytes:?}");
        start = cut;
    }
    let scan = feed(&mut scanner, &bytes[start..]);
    assert_eq!(scan, Ok(Scan::Finished { at: bytes.len() - start }), "{expect:?}");
    scanner
}

fn scan(bytes: &[u8], expect: Expect, capabilities: Capabilities) -> ResponseScanner {
    scan_cut(bytes, expect, capabilities, &[])
}

#[test]
fn recorded_answers_end_where_they_end() {
    for &(bytes, expect, capabilities) in ANSWERS {
        let whole = scan(bytes, expect, capabilities);
        let changes = |scanner: &ResponseScanner| format!("{:?}", scanner.session_changes());
        for cut in 1..bytes.len() {
            let cut = scan_cut(bytes, expect, capabilities, &[cut]);
            assert_eq!(cut.outcome(), whole.outcome());
            assert_eq!(cut.last_payload(), whole.last_payload());
            assert_eq!(changes(&cut), changes(&whole));
        }
        let every: Vec<_> = (1..bytes.len()).collect();
        assert_eq!(scan_cut(bytes, expect, capabilities, &every).outcome(), whole.outcome());
        let mut more = bytes.to_vec();
        more.extend_from_slice(b"the next answer");
        let mut scanner = ResponseScanner::new();
        scanner.start(expect, capabilities, 1);
        assert_eq!(feed(&mut scanner, &more), Ok(Scan::Finished { at: bytes.len() }));
    }
}

#[test]
fn facts_of_the_last_packet() {
    let select = *scan(recorded::SELECT_EOF, Expect::Query, EOFS).outcome();
    assert_eq!((select.columns, select.rows, select.results), (2, 2, 1));
    assert!(select.status.contains(StatusFlags::AUTOCOMMIT));
    let insert = *scan(recorded::INSERT, Expect::Query, EOFS).outcome();
    assert_eq!((insert.affected_rows, insert.last_insert_id, insert.columns), (2, 1, 0));
    for (bytes, capabilities) in [(recorded::CALL_EOF, EOFS), (recorded::CALL_DEPRECATE, DEPRECATE)]
    {
        let call = *scan(bytes, Expect::Query, capabilities).outcome();
        assert_eq!(call.results, 3);
        assert!(call.rows >= 3 && !call.status.contains(StatusFlags::MORE_RESULTS));
    }
    let scanner = scan(recorded::LATE_ERROR, Expect::Query, DEPRECATE);
    assert_eq!((scanner.outcome().error, scanner.outcome().rows), (Some(1242), 1));
    let error = ErrPacket::parse(scanner.last_payload()).unwrap();
    assert_eq!(&error.sqlstate, b"21000");
    let prepared = scan(recorded::PREPARE_EOF, Expect::Prepare, EOFS).outcome().prepared.unwrap();
    assert_eq!((prepared.statement_id, prepared.params, prepared.columns), (1, 2, 3));
    let cursor = *scan(recorded::CURSOR_EOF, Expect::Cursor, EOFS).outcome();
    assert!(cursor.status.contains(StatusFlags::CURSOR_EXISTS) && cursor.rows == 0);
    let fetch = *scan(recorded::FETCH_DEPRECATE, Expect::Fetch, DEPRECATE).outcome();
    assert!(fetch.status.contains(StatusFlags::LAST_ROW_SENT) && fetch.rows == 2);
}

#[test]
fn a_gtid_in_the_middle_of_a_chain_is_not_lost() {
    let scanner = scan(recorded::MULTI_DEPRECATE, Expect::Query, DEPRECATE);
    let changes: Result<Vec<_>, _> = scanner.session_changes().collect();
    let gtid = SessionChange::SystemVariable { name: b"last_gtid", value: b"0-1-9" };
    assert_eq!(changes.unwrap(), [gtid]);
}

#[test]
fn local_infile_pauses_the_answer() {
    let mut scanner = ResponseScanner::new();
    scanner.start(Expect::Query, EOFS, 1);
    let at = recorded::INFILE.len();
    assert_eq!(scanner.feed(recorded::INFILE), Ok(Scan::LocalInfile { at }));
    assert_eq!(scanner.last_payload(), b"\xfb/tmp/x");
    assert_eq!(scanner.feed(b"x"), Ok(Scan::LocalInfile { at: 0 }));
    scanner.after_local_infile(3);
    let at = recorded::INFILE_END.len();
    assert_eq!(scanner.feed(recorded::INFILE_END), Ok(Scan::Finished { at }));
}

/// A relay that holds back [`ResponseScanner::pending`] bytes has the whole last packet in
/// its hands at the end.
#[test]
fn the_last_packet_can_be_held_back() {
    let ends_decided = |&&(_, expect, _): &&(_, Expect, _)| expect != Expect::Prepare;
    for &(bytes, expect, capabilities) in ANSWERS.iter().filter(ends_decided) {
        let mut scanner = ResponseScanner::new();
        scanner.start(expect, capabilities, 1);
        let mut held = Vec::new();
        for byte in bytes.chunks(1) {
            held.extend_from_slice(byte);
            match scanner.feed(byte) {
                Ok(Scan::NeedMore) => drop(held.drain(..held.len() - scanner.pending())),
                Ok(Scan::Changes { .. }) => {
                    assert_eq!(&held[HEADER_LEN..], scanner.last_payload());
                    held.clear();
                }
                _ => {}
            }
        }
        assert!(scanner.is_finished());
        assert_eq!(held.len(), scanner.last_packet_len(), "{expect:?}");
        assert_eq!(&held[HEADER_LEN..], scanner.last_payload());
    }
}

/// A result set of one column whose rows are `rows`.
fn result_set(rows: &[Vec<u8>], capabilities: Capabilities) -> Vec<u8> {
    let (mut out, mut seq) = (Vec::new(), 1);
    let eof: &[u8] = b"\xfe\0\0\x02\0";
    write_packet(&mut out, &mut seq, &[1]);
    write_packet(&mut out, &mut seq, b"\x03def and the rest");
    if !capabilities.contains(Capabilities::DEPRECATE_EOF) {
        write_packet(&mut out, &mut seq, eof);
    }
    for row in rows {
        write_packet(&mut out, &mut seq, row);
    }
    let end = if capabilities.contains(Capabilities::DEPRECATE_EOF) {
        &b"\xfe\0\0\x02\0\0\0"[..]
    } else {
        eof
    };
    write_packet(&mut out, &mut seq, end);
    out
}

#[test]
fn rows_of_16_mib_are_one_row_whatever_they_start_with() {
    for len in [MAX_PAYLOAD - 1, MAX_PAYLOAD, MAX_PAYLOAD + 3, 2 * MAX_PAYLOAD] {
        let mut row = vec![0xff; len];
        row[0] = if len < MAX_PAYLOAD { 0xfd } else { 0xfe };
        let rows = [row, b"\x01x".to_vec()];
        for capabilities in [EOFS, DEPRECATE] {
            let bytes = result_set(&rows, capabilities);
            let whole = scan(&bytes, Expect::Query, capabilities);
            assert_eq!(whole.outcome().rows, 2);
            let cuts = [9, 40, 60, bytes.len() / 2, len + 50, bytes.len() - 14];
            let mut sorted = cuts.to_vec();
            sorted.sort_unstable();
            let cut = scan_cut(&bytes, Expect::Query, capabilities, &sorted);
            assert_eq!(cut.outcome(), whole.outcome());
            assert!(cut.kept.capacity() < 1000, "rows are not kept");
        }
    }
}

/// As MySQL 9.7 answers under resultset_metadata = NONE, with and without EOF packets, and FULL.
#[test]
fn definitions_may_be_left_out() {
    let check = |payloads: &[&[u8]], expect, capabilities: Capabilities, found: [u64; 3]| {
        let capabilities = capabilities.union(Capabilities::OPTIONAL_RESULTSET_METADATA);
        let (mut bytes, mut seq) = (Vec::new(), 1);
        for payload in payloads {
            write_packet(&mut bytes, &mut seq, payload);
        }
        for cut in 1..bytes.len() {
            let outcome = *scan_cut(&bytes, expect, capabilities, &[cut]).outcome();
            let facts = [outcome.columns.into(), outcome.rows, outcome.results.into()];
            assert_eq!(facts, found, "{payloads:?}");
        }
    };
    let prepared = |last| [&b"\0\x02\0\0\0\x02\0\x01\0\0\0\0"[..], &[last]].concat();
    let (none, full) = (prepared(0), prepared(1));
    let (eof, more, open) = (b"\xfe\0\0\x22\0", b"\xfe\0\0\x0a\0", b"\xfe\0\0\x42\0");
    let [end, next, opened] = [eof, more, open].map(|eof| [&eof[..], b"\0\0"].concat());
    let column = &b"\x03def and the rest"[..];
    let (query, prepare) = (Expect::Query, Expect::Prepare);
    check(&[b"\x02\0", b"\x011\x012", &end], query, DEPRECATE, [2, 1, 1]);
    check(&[b"\x02\0", eof, b"\x011\x012", eof], query, EOFS, [2, 1, 1]);
    check(&[b"\x01\0", &end], query, DEPRECATE, [1, 0, 1]);
    check(&[b"\x01\x01", column, b"\x01x", &end], query, DEPRECATE, [1, 1, 1]);
    let chain = [b"\x01\0", &b"\x01x"[..], &next, b"\x02\0", b"\x01x\xfb", &end];
    check(&chain, query, DEPRECATE, [2, 2, 2]);
    let chain = [b"\x01\x01", column, more, more, b"\x02\0", eof, b"\x01x\xfb", eof];
    check(&chain, query, EOFS, [2, 1, 2]);
    check(&[b"\x02\0", &opened], Expect::Cursor, DEPRECATE, [2, 0, 1]);
    check(&[b"\x02\0", open], Expect::Cursor, EOFS, [2, 0, 1]);
    check(&[&none], prepare, DEPRECATE, [2, 0, 1]);
    check(&[&none, eof, eof], prepare, EOFS, [2, 0, 1]);
    check(&[&full, column, eof, column, column, eof], prepare, EOFS, [2, 0, 1]);
    check(&[eof], Expect::FieldList, EOFS, [0, 0, 1]);
}

/// Reports of MariaDB 10.11 before an OK, among rows and before an error.
#[test]
fn a_report_of_progress_is_no_end() {
    let capabilities = DEPRECATE.union(Capabilities::MARIADB_PROGRESS);
    let check = |payloads: &[&[u8]], error: Option<u16>, rows: u64| {
        let (mut bytes, mut seq) = (Vec::new(), 1);
        for payload in payloads {
            write_packet(&mut bytes, &mut seq, payload);
        }
        for cut in 1..bytes.len() {
            let scanner = scan_cut(&bytes, Expect::Query, capabilities, &[cut]);
            assert_eq!((scanner.outcome().error, scanner.outcome().rows), (error, rows));
            assert_eq!(scanner.next_seq(), seq);
            assert_eq!(Some(scanner.last_payload()), payloads.last().copied());
        }
    };
    let report = &b"\xff\xff\xff\x01\x02\x02\0\0\0\x0dEnabling keys"[..];
    let (ok, end) = (&b"\0\x07\0\x02\0\0\0"[..], &b"\xfe\0\0\x02\0\0\0"[..]);
    let column = &b"\x03def and the rest"[..];
    check(&[report, report, ok], None, 0);
    check(&[b"\x01", column, report, b"\x01x", report, b"\x01y", end], None, 2);
    check(&[report, b"\x01", report, column, b"\x01x", report, end], None, 1);
    check(&[report, b"\xff\x26\x04#23000Duplicate"], Some(1062), 0);
    // Where reports were not agreed on the number is an error like any other.
    let mut bytes = Vec::new();
    write_packet(&mut bytes, &mut 1, report);
    assert_eq!(scan(&bytes, Expect::Query, DEPRECATE).outcome().error, Some(0xffff));
}

#[test]
fn nonsense_is_refused() {
    let refused = |bytes: &[u8], expect| {
        let mut scanner = ResponseScanner::new();
        scanner.start(expect, EOFS, 1);
        assert!(scanner.feed(bytes).is_err(), "{bytes:?} for {expect:?}");
    };
    refused(b"\x00\x00\x00\x01", Expect::Query);
    refused(b"\x01\x00\x00\x02\x01", Expect::Query);
    refused(b"\x01\x00\x00\x01\x00", Expect::Query);
    refused(b"\x09\x00\x00\x01\xfe\x01\0\0\0\0\0\0\x01", Expect::Query);
    refused(b"\x02\x00\x00\x01\x01\x01", Expect::Query);
    refused(b"\x01\x00\x00\x01\x05", Expect::OkOrErr);
    refused(b"\x01\x00\x00\x01\x05", Expect::Prepare);
    refused(b"\x09\x00\x00\x01\xfe\0\0\0\0\0\0\0\0", Expect::Fetch);
    let mut scanner = ResponseScanner::new();
    scanner.start(Expect::Statistics, EOFS, 1);
    let endless = vec![b'x'; KEPT_MAX + 2];
    assert_eq!(scanner.feed(b"\xff\xff\x7f\x01"), Ok(Scan::NeedMore));
    assert!(scanner.feed(&endless).is_err(), "nothing is kept without bound");
}

/// MySQL's OUT parameters without DEPRECATE_EOF: their end does not say that an OK follows.
#[test]
fn an_ok_follows_out_parameters() {
    let (mut bytes, mut seq) = (Vec::new(), 1);
    let column = b"\x03def\0\0\0\x01b\x01b\x0c\x3f\0\x0b\0\0\0\x03\0\0\0\0\0";
    let eof = b"\xfe\0\0\x0a\x10";
    for payload in
        [b"\x01", &column[..], eof, b"\0\0\x05\0\0\0", b"\xfe\0\0\x02\0", b"\0\0\0\x02\0\0\0"]
    {
        write_packet(&mut bytes, &mut seq, payload);
    }
    for cut in 1..bytes.len() {
        let scanner = scan_cut(&bytes, Expect::Query, EOFS, &[cut]);
        assert_eq!((scanner.outcome().results, scanner.next_seq()), (2, 7));
    }
}

#[test]
fn a_farewell_of_an_idle_server_is_an_error_packet() {
    let mut bytes = recorded::ERR.to_vec();
    bytes[3] = 0;
    assert_eq!(scan(&bytes, Expect::Query, EOFS).outcome().error, Some(1146));
}

#[test]
fn rewriting_chains_answers_and_keeps_the_facts() {
    let rewrite = Rewrite { sequence_offset: 250, more_results: MoreResults::Follow };
    for &(bytes, expect, capabilities) in ANSWERS {
        let plain = scan(bytes, expect, capabilities);
        for cut in 0..bytes.len() {
            let mut rewritten = bytes.to_vec();
            let mut scanner = ResponseScanner::new();
            scanner.start(expect, capabilities, 1);
            let (front, back) = rewritten.split_at_mut(cut);
            let rewriting = |scanner: &mut ResponseScanner, bytes: &mut [u8]| {
                scanner.feed_rewriting(bytes, rewrite)
            };
            assert_eq!(feed_with(&mut scanner, front, rewriting), Ok(Scan::NeedMore));
            let at = bytes.len() - cut;
            assert_eq!(feed_with(&mut scanner, back, rewriting), Ok(Scan::Finished { at }));
            assert_eq!(scanner.outcome(), plain.outcome());
            assert_eq!(rewritten[3], 251);
            if expect == Expect::Query && !plain.outcome().is_error() {
                let mut again = ResponseScanner::new();
                again.start(expect, capabilities, 251);
                assert_eq!(feed(&mut again, &rewritten), Ok(Scan::NeedMore), "more results follow");
                assert!(again.outcome().status.contains(StatusFlags::MORE_RESULTS));
            }
        }
    }
}

proptest! {
    #[test]
    fn any_cutting_gives_the_same_facts(
        index in 0..ANSWERS.len(),
        mut cuts in prop::collection::vec(0_usize..200, 0..8),
    ) {
        let (bytes, expect, capabilities) = ANSWERS[index];
        cuts.sort_unstable();
        let cut = scan_cut(bytes, expect, capabilities, &cuts);
        let whole = scan(bytes, expect, capabilities);
        prop_assert_eq!(cut.outcome(), whole.outcome());
        prop_assert_eq!(cut.next_seq(), whole.next_seq());
    }

    #[test]
    fn generated_result_sets_are_counted(
        rows in prop::collection::vec(prop::collection::vec(0_u8..250, 1..40), 0..300),
        mut cuts in prop::collection::vec(0_usize..9000, 0..8),
        deprecates: bool,
    ) {
        let capabilities = if deprecates { DEPRECATE } else { EOFS };
        let bytes = result_set(&rows, capabilities);
        cuts.sort_unstable();
        let scanner = scan_cut(&bytes, Expect::Query, capabilities, &cuts);
        prop_assert_eq!(scanner.outcome().rows, rows.len() as u64);
    }

    #[test]
    fn random_streams_never_panic(
        mut chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..6),
        expect in prop::sample::select(vec![
            Expect::Query, Expect::Prepare, Expect::FieldList, Expect::Statistics,
            Expect::OkOrErr, Expect::Fetch,
        ]),
        deprecates: bool,
        more: bool,
    ) {
        let mut scanner = ResponseScanner::new();
        scanner.start(expect, if deprecates { DEPRECATE } else { EOFS }, 1);
        let more_results = if more { MoreResults::Follow } else { MoreResults::AsSent };
        let rewrite = Rewrite { sequence_offset: 3, more_results };
        for chunk in &mut chunks {
            let len = chunk.len();
            match scanner.feed_rewriting(chunk, rewrite) {
                Ok(
                    Scan::Finished { at } | Scan::LocalInfile { at } | Scan::Changes { at },
                ) => prop_assert!(at <= len),
                Ok(Scan::NeedMore) => {}
                Err(_) => break,
            }
        }
    }

    #[test]
    fn damaged_answers_never_panic(
        index in 0..ANSWERS.len(), at in 0_usize..200, byte: u8, cut in 0_usize..200,
    ) {
        let (bytes, expect, capabilities) = ANSWERS[index];
        let mut bytes = bytes.to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        let mut scanner = ResponseScanner::new();
        scanner.start(expect, capabilities, 1);
        let (front, back) = bytes.split_at(cut % bytes.len());
        if scanner.feed(front).is_ok() {
            let _ = scanner.feed(back);
        }
    }
}
