//! Content codings both ways: gzip, Brotli and Zstandard (RFC 9110 section 8.4).
//!
//! What a client sends may grow to the limit of its body and no further, and no more than
//! `decompression_ratio_max` times what was sent: a bomb is refused while it is small. Of codings on top of
//! each other none may come to more than that.

use std::cell::Cell;
use std::io::{Read, Write};

use base::Code;
use base::limits::fixed::CONTENT_CODINGS_MAX;
use engine::Failure;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use http::{HeaderMap, HeaderValue};

use crate::negotiate::quality;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// gzip (RFC 1952)
    Gzip,
    /// Brotli (RFC 7932)
    Brotli,
    /// Zstandard (RFC 8878)
    Zstd,
}

/// In the order in which they are chosen where a client likes them equally.
const ALL: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

/// The window that Zstandard may use, as a power of two: 8 MiB (RFC 8878 section 3.1.1.1.2).
const ZSTD_WINDOW: u32 = 23;

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// Bytes that may come out of anything, however little went in.
const FREE: u64 = 1 << 20;

impl Coding {
    /// All names, as headers list them.
    pub(crate) const ACCEPTED: HeaderValue = HeaderValue::from_static("zstd, br, gzip");

    /// Its name in headers.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Self::Gzip,
            "br" => Self::Brotli,
            "zstd" => Self::Zstd,
            _ => return None,
        })
    }

    /// The coding of the answer that a client likes best; none for no coding.
    pub(crate) fn wanted(headers: &HeaderMap) -> Option<Self> {
        if !headers.contains_key(ACCEPT_ENCODING) {
            return None;
        }
        let values = headers.get_all(ACCEPT_ENCODING).iter();
        let ranges: Vec<&str> = values
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .collect();
        let essence = |range: &str| range.split(';').next().unwrap_or("").trim().to_owned();
        let weight = |coding: Self| {
            let named = ranges
                .iter()
                .find(|r| Self::parse(&essence(r)) == Some(coding));
            let any = || ranges.iter().find(|r| essence(r) == "*");
            named.or_else(any).map_or(0.0, |r| quality(r))
        };
        let mut best: Option<(f32, Self)> = None;
        for coding in ALL {
            let weight = weight(coding);
            if weight > best.map_or(0.0, |b| b.0) {
                best = Some((weight, coding));
            }
        }
        let plain = ranges
            .iter()
            .find(|r| essence(r).eq_ignore_ascii_case("identity"));
        let plain = plain.map_or(0.0, |r| quality(r));
        best.filter(|(weight, _)| *weight >= plain).map(|b| b.1)
    }

    /// The codings of a request's body, in the order in which they were applied; none for a body that is
    /// as it is.
    ///
    /// # Errors
    /// `content-coding` for one that is not known, and for more than [`CONTENT_CODINGS_MAX`].
    pub(crate) fn of_body(headers: &HeaderMap) -> Result<Vec<Self>, Failure> {
        let refused = || Failure::of(Code::ContentCoding);
        let mut codings = Vec::new();
        for value in headers.get_all(CONTENT_ENCODING) {
            let names = value.to_str().map_err(|_| refused())?.split(',');
            let names = names.map(str::trim).filter(|name| !name.is_empty());
            for name in names.filter(|name| !name.eq_ignore_ascii_case("identity")) {
                codings.push(Self::parse(name).ok_or_else(refused)?);
            }
        }
        match codings.len() <= CONTENT_CODINGS_MAX {
            true => Ok(codings),
            false => Err(refused()),
        }
    }

    /// The bytes, compressed.
    ///
    /// # Errors
    /// `internal`
    pub(crate) fn encode(self, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
        let out = Vec::with_capacity(bytes.len() / 4);
        let done = match self {
            Self::Gzip => {
                let level = flate2::Compression::new(5);
                let mut writer = flate2::write::GzEncoder::new(out, level);
                writer.write_all(bytes).and_then(|()| writer.finish())
            }
            Self::Brotli => {
                let mut writer = brotli::CompressorWriter::new(out, 1 << 16, 4, 20);
                let done = writer.write_all(bytes).and_then(|()| writer.flush());
                done.map(|()| writer.into_inner())
            }
            Self::Zstd => zstd::stream::encode_all(bytes, 3),
        };
        done.map_err(|_| Failure::of(Code::Internal))
    }

    /// What comes out of this coding.
    fn reader<'r>(self, from: impl Read + 'r) -> std::io::Result<Box<dyn Read + 'r>> {
        Ok(match self {
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(from)),
            Self::Brotli => Box::new(brotli::Decompressor::new(from, PIECE)),
            Self::Zstd => {
                let mut reader = zstd::stream::read::Decoder::new(from)?;
                reader.window_log_max(ZSTD_WINDOW)?;
                Box::new(reader)
            }
        })
    }

    /// The bytes to which these codings were applied, in this order.
    ///
    /// # Errors
    /// `too_large` beyond `max`; those of `grow`, which is asked before memory is taken; `limit-exceeded` beyond the ratio; `body-coding` for what is
    /// not of these codings.
    pub(crate) fn decode(
        codings: &[Self],
        bytes: &[u8],
        max: u64,
        ratio_max: u64,
        too_large: impl Fn() -> Failure,
        mut grow: impl FnMut(usize) -> Result<(), Failure>,
    ) -> Result<Vec<u8>, Failure> {
        let malformed = |_| {
            let what = "the body is not of its content coding, or was cut short";
            Failure::new(Code::BodyCoding, what)
        };
        let by_ratio = (bytes.len() as u64).saturating_mul(ratio_max).max(FREE);
        let passed = Cell::new(false);
        let mut reader: Box<dyn Read + '_> = Box::new(bytes);
        for coding in codings.iter().rev() {
            reader = Box::new(Bounded {
                reader: coding.reader(reader).map_err(malformed)?,
                left: by_ratio.min(max),
                passed: &passed,
            });
        }
        let refused = |error| match (passed.get(), by_ratio < max) {
            (false, _) => malformed(error),
            (true, true) => {
                let name = "decompression_ratio_max";
                Failure::limit(Code::LimitExceeded, name, ratio_max)
            }
            (true, false) => too_large(),
        };
        let mut out = Vec::new();
        let mut piece = vec![0; PIECE];
        loop {
            let read = reader.read(&mut piece).map_err(refused)?;
            let Some(piece) = piece.get(..read).filter(|p| !p.is_empty()) else {
                return Ok(out);
            };
            let needed = out.len() + piece.len();
            if needed > out.capacity() {
                let room = (out.capacity() * 2).max(needed);
                grow(room)?;
                out.reserve_exact(room - out.len());
            }
            out.extend_from_slice(piece);
        }
    }
}

/// What comes out of a coding, as far as it may.
struct Bounded<'b, R> {
    reader: R,
    /// Bytes that may still come.
    left: u64,
    /// Whether more came, out of whichever coding.
    passed: &'b Cell<bool>,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(into)?;
        match self.left.checked_sub(read as u64) {
            Some(left) => {
                self.left = left;
                Ok(read)
            }
            None => {
                self.passed.set(true);
                Err(std::io::Error::other("too much comes out of a coding"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(codings: &[Coding], bytes: &[u8], max: u64, ratio: u64) -> Result<Vec<u8>, Failure> {
        let refuse = || Failure::of(Code::LimitExceeded);
        Coding::decode(codings, bytes, max, ratio, refuse, |_| Ok(()))
    }

    fn accepted(value: &str) -> Option<Coding> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, value.parse().unwrap());
        Coding::wanted(&headers)
    }

    #[test]
    fn the_best_liked_coding_is_chosen() {
        for (value, wanted) in [
            ("gzip", Some(Coding::Gzip)),
            ("x-gzip, deflate", Some(Coding::Gzip)),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip;q=1.0, br;q=0.5", Some(Coding::Gzip)),
            ("BR", Some(Coding::Brotli)),
            ("*", Some(Coding::Zstd)),
            ("zstd;q=0, *;q=0.5", Some(Coding::Brotli)),
            ("identity, gzip;q=0.5", None),
            ("gzip;q=0", None),
            ("deflate", None),
            ("", None),
        ] {
            assert_eq!(accepted(value), wanted, "{value}");
        }
        assert_eq!(Coding::wanted(&HeaderMap::new()), None);
    }

    #[test]
    fn what_is_coded_comes_back() {
        let text = "abc é ".repeat(1_000);
        for coding in ALL {
            let coded = coding.encode(text.as_bytes()).unwrap();
            assert!(coded.len() < 500);
            let back = decode(&[coding], &coded, 1 << 20, 1_000).unwrap();
            assert_eq!(back, text.as_bytes());
            let small = decode(&[coding], &coded, 100, 1_000).unwrap_err();
            assert_eq!(small.limit_name(), None);
            let cut = coded.get(..coded.len() / 2).unwrap();
            let cut = decode(&[coding], cut, 1 << 20, 1_000).unwrap_err();
            assert_eq!(cut.code(), Code::BodyCoding, "{coding:?}");
            let other = decode(&[coding], b"{}", 1 << 20, 1_000).unwrap_err();
            assert_eq!(other.code(), Code::BodyCoding, "{coding:?}");
        }
    }

    #[test]
    fn members_and_frames_follow_each_other() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            for length in [3, 40_000, 400_000] {
                let text = "abc é ".repeat(length);
                let (first, second) = text.as_bytes().split_at(length);
                let mut coded = coding.encode(first).unwrap();
                coded.extend(coding.encode(b"").unwrap());
                coded.extend(coding.encode(second).unwrap());
                let back = decode(&[coding], &coded, 8 << 20, 100_000).unwrap();
                assert!(back == text.as_bytes(), "{coding:?} {length}");
            }
        }
    }

    #[test]
    fn codings_on_top_of_each_other_come_off_in_turn() {
        let text = "abc é ".repeat(1_000);
        for inner in ALL {
            for outer in ALL {
                let coded = inner.encode(text.as_bytes()).unwrap();
                let coded = outer.encode(&coded).unwrap();
                let back = decode(&[inner, outer], &coded, 1 << 20, 1_000).unwrap();
                assert_eq!(back, text.as_bytes(), "{inner:?} {outer:?}");
                if inner != outer {
                    let wrong = decode(&[outer, inner], &coded, 1 << 20, 1_000).unwrap_err();
                    assert_eq!(wrong.code(), Code::BodyCoding, "{inner:?} {outer:?}");
                }
            }
        }
    }

    #[test]
    fn what_comes_between_is_bounded_too() {
        // Members of nothing, very many of them.
        let nothing = Coding::Gzip.encode(b"").unwrap().repeat(1 << 20);
        let coded = Coding::Zstd.encode(&nothing).unwrap();
        let codings = [Coding::Gzip, Coding::Zstd];
        let refused = decode(&codings, &coded, 1 << 30, 100).unwrap_err();
        assert_eq!(refused.limit_name(), Some("decompression_ratio_max"));
        let refused = decode(&codings, &coded, 1 << 20, u64::MAX).unwrap_err();
        assert_eq!(refused.limit_name(), None);
        assert_eq!(refused.code(), Code::LimitExceeded);
    }

    #[test]
    fn bombs_are_refused_by_name() {
        let zeros = vec![0; 64 << 20];
        for coding in ALL {
            let coded = coding.encode(&zeros).unwrap();
            let refused = decode(&[coding], &coded, 1 << 30, 100).unwrap_err();
            assert_eq!(refused.limit_name(), Some("decompression_ratio_max"));
        }
    }
}
