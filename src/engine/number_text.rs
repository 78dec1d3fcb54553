//! Writes numbers as MySQL writes them in a text row.

/// A DOUBLE: the shortest digits that read back as the same number, with an exponent where MySQL
/// uses one (`my_gcvt` in MySQL's `strings/dtoa.cc`); or so many digits after the point, if the
/// column has a fixed number of them (31 stands for none).
pub(super) fn write_float(value: f64, decimals: u8, out: &mut Vec<u8>) {
    if decimals < 31 {
        out.extend_from_slice(format!("{value:.*}", usize::from(decimals)).as_bytes());
        return;
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value == 0.0 {
        out.push(b'0');
    } else if (-15..15).contains(&exponent) {
        out.extend_from_slice(value.to_string().as_bytes());
    } else {
        out.extend_from_slice(mantissa.as_bytes());
        out.push(b'e');
        out.extend_from_slice(exponent.to_string().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn exponents_stand_where_mysql_writes_them() {
        let text = |value| {
            let mut out = Vec::new();
            super::write_float(value, 31, &mut out);
            String::from_utf8(out).expect("digits")
        };
        assert_eq!(text(0.1 + 0.2), "0.30000000000000004");
        assert_eq!(text(1e14), "100000000000000");
        assert_eq!(text(1e15), "1e15");
        assert_eq!(text(-2.5), "-2.5");
        assert_eq!(text(1.5e-20), "1.5e-20");
        assert_eq!(text(0.0), "0");
    }
}
