//! Kubernetes quantities: a decimal number with a suffix, `1500k` or `0.5Gi`.
//!
//! A whole number of units; fractions of one are rounded up, as Kubernetes does.

/// Why a text is no quantity of use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It is not written as one.
    #[error("{0:?} is not a quantity such as 500k, 10M or 1.5Gi")]
    Syntax(String),
    /// It is below zero.
    #[error("{0:?} is negative")]
    Negative(String),
    /// It exceeds every number there is room for.
    #[error("{0:?} is too large")]
    TooLarge(String),
}

/// Reads a quantity.
pub fn parse(text: &str) -> Result<u64, Invalid> {
    let invalid = || Invalid::Syntax(text.to_owned());
    let too_large = || Invalid::TooLarge(text.to_owned());
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') {
        return Err(invalid());
    }
    let Scale { binary, decimal } = Scale::parse(suffix).ok_or_else(invalid)?;
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(0);
    }
    if text.starts_with('-') {
        return Err(Invalid::Negative(text.to_owned()));
    }
    let digits = digits.parse::<u128>().ok().ok_or_else(too_large)?;
    let digits = digits.checked_mul(1 << binary).ok_or_else(too_large)?;
    let places = i64::try_from(fraction.len()).ok().ok_or_else(too_large)?;
    let exponent = decimal - places;
    // More digits than a number has room for.
    let power = u32::try_from(exponent.unsigned_abs()).ok().and_then(|exponent| 10_u128.checked_pow(exponent));
    let value = match (exponent < 0, power) {
        (false, Some(power)) => digits.checked_mul(power).ok_or_else(too_large)?,
        (false, None) => return Err(too_large()),
        (true, Some(power)) => digits.div_ceil(power),
        (true, None) => 1,
    };
    u64::try_from(value).ok().ok_or_else(too_large)
}

/// What a suffix multiplies by: a power of two, a power of ten.
struct Scale {
    binary: u32,
    decimal: i64,
}

impl Scale {
    fn parse(suffix: &str) -> Option<Self> {
        const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        const DECIMAL: [(&str, i64); 10] =
            [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
        if let Some(step) = (1..).zip(BINARY).find(|(_, known)| *known == suffix).map(|(step, _)| step) {
            return Some(Self { binary: 10 * step, decimal: 0 });
        }
        if let Some((_, decimal)) = DECIMAL.iter().find(|(known, _)| *known == suffix) {
            return Some(Self { binary: 0, decimal: *decimal });
        }
        let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
        Some(Self { binary: 0, decimal: exponent.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_multiplied_by_their_suffix() {
        let cases = [
            ("0", 0),
            ("42", 42),
            ("+42", 42),
            ("1k", 1_000),
            ("10M", 10_000_000),
            ("2G", 2_000_000_000),
            ("3T", 3_000_000_000_000),
            ("1P", 1_000_000_000_000_000),
            ("1E", 1_000_000_000_000_000_000),
            ("1Ki", 1 << 10),
            ("1Mi", 1 << 20),
            ("1Gi", 1 << 30),
            ("1Ti", 1 << 40),
            ("1Pi", 1 << 50),
            ("1Ei", 1 << 60),
            ("1.5Gi", 3 << 29),
            (".5M", 500_000),
            ("5.k", 5_000),
            ("1e3", 1_000),
            ("12E-1", 2),
            ("1e+6", 1_000_000),
            ("00010k", 10_000),
            ("18446744073709551615", u64::MAX),
        ];
        for (text, value) in cases {
            assert_eq!(parse(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn fractions_are_rounded_up() {
        for (text, value) in [("1m", 1), ("1000m", 1), ("1001m", 2), ("0.1", 1), ("1n", 1), ("1e-99", 1), ("0.0", 0)] {
            assert_eq!(parse(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_told_why() {
        for text in ["", "k", "1K", "1ki", "1 M", " 1M", "1.2.3", ".", "1e", "1eM", "0x10", "1M/s", "١", "--1", "1e1.5"]
        {
            assert_eq!(parse(text), Err(Invalid::Syntax(text.to_owned())), "{text}");
        }
        assert_eq!(parse("-1M"), Err(Invalid::Negative("-1M".to_owned())));
        assert_eq!(parse("-0"), Ok(0));
        let digits = "9".repeat(60);
        for text in ["18446744073709551616", "1e30", "1e2147483647", "99Ei", &digits] {
            assert_eq!(parse(text), Err(Invalid::TooLarge(text.to_owned())), "{text}");
        }
        assert_eq!(parse("1M/s").unwrap_err().to_string(), "\"1M/s\" is not a quantity such as 500k, 10M or 1.5Gi");
    }
}
