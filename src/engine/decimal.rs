//! Exact decimal numbers of up to 77 digits, for sums and averages of what the shards computed.
//!
//! MySQL's DECIMAL has 65 digits. Only what merging needs: read, compare, add, divide by a count
//! with MySQL's rounding (half away from zero), write.

use std::cmp::Ordering;

/// A decimal number: `(-1)^negative * magnitude / 10^scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// Little-endian limbs.
    magnitude: [u64; 4],
    scale: u32,
}

impl Decimal {
    /// Zero with no digits after the point.
    pub(super) const ZERO: Self = Self { negative: false, magnitude: [0; 4], scale: 0 };

    /// Reads MySQL's text form: sign, digits, point, digits, and an exponent as in `1.5e3`.
    /// `None` if it is something else or too large.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (negative, digits) = match text.split_first()? {
            (b'-', rest) => (true, rest),
            (b'+', rest) => (false, rest),
            _ => (false, text),
        };
        let (digits, exponent) = match digits.iter().position(|b| matches!(b, b'e' | b'E')) {
            Some(at) => {
                let exponent = std::str::from_utf8(&digits[at + 1..]).ok()?;
                (&digits[..at], exponent.parse::<i32>().ok()?)
            }
            None => (digits, 0),
        };
        let mut number = Self { negative, ..Self::ZERO };
        let mut point = false;
        let mut seen = false;
        for byte in digits {
            match byte {
                b'0'..=b'9' => {
                    number.magnitude = multiply_add(number.magnitude, 10, u64::from(byte - b'0'))?;
                    number.scale += u32::from(point);
                    seen = true;
                }
                b'.' if !point => point = true,
                _ => return None,
            }
        }
        if !seen {
            return None;
        }
        number.shifted(exponent)
    }

    /// The number times ten to the power of `exponent`.
    fn shifted(mut self, exponent: i32) -> Option<Self> {
        if exponent <= 0 {
            self.scale = self.scale.checked_add(exponent.unsigned_abs())?;
            return (self.scale <= 10_000).then_some(self);
        }
        let absorbed = self.scale.min(exponent.unsigned_abs());
        self.scale -= absorbed;
        for _ in absorbed..exponent.unsigned_abs() {
            self.magnitude = multiply_add(self.magnitude, 10, 0)?;
        }
        Some(self)
    }

    /// The sum; `None` if it has more than 77 digits.
    pub(super) fn add(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let (a, b) = (self.rescaled(scale)?, other.rescaled(scale)?);
        if a.negative == b.negative {
            return Some(Self { magnitude: add(a.magnitude, b.magnitude)?, ..a });
        }
        Some(match compare(a.magnitude, b.magnitude) {
            Ordering::Equal => Self { scale, ..Self::ZERO },
            Ordering::Greater => Self { magnitude: subtract(a.magnitude, b.magnitude), ..a },
            Ordering::Less => Self { magnitude: subtract(b.magnitude, a.magnitude), ..b },
        })
    }

    /// The quotient with `scale` digits after the point, rounded half away from zero. `None` for a
    /// divisor of 0 or an overflow.
    pub(super) fn divide(self, divisor: u64, scale: u32) -> Option<Self> {
        if divisor == 0 {
            return None;
        }
        let wide = self.rescaled(scale.max(self.scale))?;
        let (mut quotient, remainder) = divide(wide.magnitude, divisor);
        if wide.scale == scale {
            if u128::from(remainder) * 2 >= u128::from(divisor) {
                quotient = multiply_add(quotient, 1, 1)?;
            }
        } else {
            let mut last = 0;
            for _ in scale..wide.scale {
                (quotient, last) = divide(quotient, 10);
            }
            if last >= 5 {
                quotient = multiply_add(quotient, 1, 1)?;
            }
        }
        Some(Self { negative: self.negative && quotient != [0; 4], magnitude: quotient, scale })
    }

    /// The same number with more digits after the point.
    fn rescaled(self, scale: u32) -> Option<Self> {
        let mut magnitude = self.magnitude;
        for _ in self.scale..scale {
            magnitude = multiply_add(magnitude, 10, 0)?;
        }
        Some(Self { magnitude, scale, ..self })
    }

    /// The text as MySQL writes it, all digits of the scale included.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let mut digits = Vec::with_capacity(80);
        let mut rest = self.magnitude;
        while rest != [0; 4] || digits.len() <= self.scale as usize {
            let (quotient, digit) = divide(rest, 10);
            digits.push(b'0' + digit as u8);
            rest = quotient;
        }
        if self.negative && self.magnitude != [0; 4] {
            out.push(b'-');
        }
        for (index, digit) in digits.iter().enumerate().rev() {
            out.push(*digit);
            if index == self.scale as usize && index != 0 {
                out.push(b'.');
            }
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let sign = |n: &Self| if n.magnitude == [0; 4] { 0 } else { 1 - 2 * i32::from(n.negative) };
        let (a, b) = (sign(self), sign(other));
        if a != b || a == 0 {
            return Some(a.cmp(&b));
        }
        let scale = self.scale.max(other.scale);
        let order = compare(self.rescaled(scale)?.magnitude, other.rescaled(scale)?.magnitude);
        Some(if a < 0 { order.reverse() } else { order })
    }
}

fn multiply_add(limbs: [u64; 4], factor: u64, addend: u64) -> Option<[u64; 4]> {
    let mut carry = u128::from(addend);
    let result = limbs.map(|limb| {
        carry += u128::from(limb) * u128::from(factor);
        let low = carry as u64;
        carry >>= 64;
        low
    });
    (carry == 0).then_some(result)
}

fn add(a: [u64; 4], b: [u64; 4]) -> Option<[u64; 4]> {
    let mut carry = 0u128;
    let mut result = [0; 4];
    for index in 0..4 {
        carry += u128::from(a[index]) + u128::from(b[index]);
        result[index] = carry as u64;
        carry >>= 64;
    }
    (carry == 0).then_some(result)
}

/// `a - b` for `a >= b`.
fn subtract(a: [u64; 4], b: [u64; 4]) -> [u64; 4] {
    let mut borrow = false;
    let mut result = [0; 4];
    for index in 0..4 {
        let (first, under) = a[index].overflowing_sub(b[index]);
        let (second, under_again) = first.overflowing_sub(u64::from(borrow));
        result[index] = second;
        borrow = under || under_again;
    }
    result
}

fn divide(limbs: [u64; 4], divisor: u64) -> ([u64; 4], u64) {
    let mut remainder = 0u128;
    let mut result = limbs;
    for limb in result.iter_mut().rev() {
        let part = (remainder << 64) | u128::from(*limb);
        *limb = (part / u128::from(divisor)) as u64;
        remainder = part % u128::from(divisor);
    }
    (result, remainder as u64)
}

fn compare(a: [u64; 4], b: [u64; 4]) -> Ordering {
    a.iter().rev().cmp(b.iter().rev())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text.as_bytes()).expect("a number")
    }

    fn text(number: Decimal) -> String {
        let mut out = Vec::new();
        number.write(&mut out);
        String::from_utf8(out).expect("digits")
    }

    #[test]
    fn sums_are_exact_and_keep_their_scale() {
        let sum = |a: &str, b: &str| text(number(a).add(number(b)).expect("fits"));
        assert_eq!(sum("0.10", "0.2"), "0.30");
        assert_eq!(sum("-1.5", "1.5"), "0.0");
        assert_eq!(sum("-1.5", "1"), "-0.5");
        assert_eq!(sum("18446744073709551615", "1"), "18446744073709551616");
        let nines = "9".repeat(65);
        assert_eq!(sum(&nines, "1"), format!("1{}", "0".repeat(65)));
    }

    #[test]
    fn averages_round_half_away_from_zero() {
        let average = |a: &str, n, scale| text(number(a).divide(n, scale).expect("fits"));
        assert_eq!(average("10", 4, 4), "2.5000");
        assert_eq!(average("1", 3, 4), "0.3333");
        assert_eq!(average("2", 3, 4), "0.6667");
        assert_eq!(average("-0.5", 1, 0), "-1");
        assert_eq!(average("0.25", 1, 1), "0.3");
        assert_eq!(average("0.249", 1, 1), "0.2");
        assert_eq!(average("-0.00004", 1, 4), "0.0000");
        assert!(number("1").divide(0, 4).is_none());
    }

    #[test]
    fn order_ignores_scale_and_the_sign_of_zero() {
        assert!(number("1.10") > number("1.09"));
        assert!(number("-2") < number("-1.5"));
        assert_eq!(number("1.0").partial_cmp(&number("1.000")), Some(Ordering::Equal));
        assert_eq!(number("-0").partial_cmp(&number("0.0")), Some(Ordering::Equal));
    }

    #[test]
    fn exponents_and_nonsense() {
        assert_eq!(text(number("1.5e3")), "1500");
        assert_eq!(text(number("15e-1")), "1.5");
        for bad in ["", "-", ".", "1.2.3", "abc", "1e", "1x"] {
            assert!(Decimal::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
