//! Content codings both ways: gzip, Brotli and Zstandard (RFC 9110 section 8.4).
//!
//! What a client sends may grow to the limit of its body and no further, and no more than
//! `decompression_ratio_max` times what was sent: a bomb is refused while it is small.

use std::io::{Read, Write};

use base::Code;
use engine::Failure;
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};

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

    /// The coding of a request's body; none for a body that is as it is.
    ///
    /// # Errors
    /// `content-coding` for one that is not known, and for several on top of each other.
    pub(crate) fn of_body(headers: &HeaderMap) -> Result<Option<Self>, Failure> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let refused = || Failure::of(Code::ContentCoding);
        let text = value.to_str().map_err(|_| refused())?.trim();
        if values.next().is_some() {
            return Err(refused());
        }
        if text.is_empty() || text.eq_ignore_ascii_case("identity") {
            return Ok(None);
        }
        Self::parse(text).map(Some).ok_or_else(refused)
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

    /// The bytes that were compressed.
    ///
    /// # Errors
    /// `too_large` beyond `max`; those of `grow`, which is asked before memory is taken; `limit-exceeded` beyond the ratio; `body-coding` for what is
    /// not of this coding.
    pub(crate) fn decode(
        self,
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
        let bound = usize::try_from(by_ratio.min(max)).unwrap_or(usize::MAX);
        let mut reader: Box<dyn Read + '_> = match self {
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(bytes)),
            Self::Brotli => Box::new(brotli::Decompressor::new(bytes, PIECE)),
            Self::Zstd => {
                let reader = zstd::stream::read::Decoder::new(bytes);
                let mut reader = reader.map_err(malformed)?;
                reader.window_log_max(ZSTD_WINDOW).map_err(malformed)?;
                Box::new(reader)
            }
        };
        let mut out = Vec::new();
        let mut piece = vec![0; PIECE];
        loop {
            let read = reader.read(&mut piece).map_err(malformed)?;
            let Some(piece) = piece.get(..read).filter(|p| !p.is_empty()) else {
                return Ok(out);
            };
            let needed = out.len() + piece.len();
            if needed > bound {
                return Err(match by_ratio < max {
                    true => {
                        let name = "decompression_ratio_max";
                        Failure::limit(Code::LimitExceeded, name, ratio_max)
                    }
                    false => too_large(),
                });
            }
            if needed > out.capacity() {
                let room = (out.capacity() * 2).max(needed);
                grow(room)?;
                out.reserve_exact(room - out.len());
            }
            out.extend_from_slice(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let refuse = || Failure::of(Code::LimitExceeded);
            let back = coding
                .decode(&coded, 1 << 20, 1_000, refuse, |_| Ok(()))
                .unwrap();
            assert_eq!(back, text.as_bytes());
            let small = coding
                .decode(&coded, 100, 1_000, refuse, |_| Ok(()))
                .unwrap_err();
            assert_eq!(small.limit_name(), None);
            let cut = coded.get(..coded.len() / 2).unwrap();
            let cut = coding
                .decode(cut, 1 << 20, 1_000, refuse, |_| Ok(()))
                .unwrap_err();
            assert_eq!(cut.code(), Code::BodyCoding, "{coding:?}");
            let other = coding
                .decode(b"{}", 1 << 20, 1_000, refuse, |_| Ok(()))
                .unwrap_err();
            assert_eq!(other.code(), Code::BodyCoding, "{coding:?}");
        }
    }

    #[test]
    fn bombs_are_refused_by_name() {
        let zeros = vec![0; 64 << 20];
        for coding in ALL {
            let coded = coding.encode(&zeros).unwrap();
            let refuse = || Failure::of(Code::LimitExceeded);
            let refused = coding
                .decode(&coded, 1 << 30, 100, refuse, |_| Ok(()))
                .unwrap_err();
            assert_eq!(refused.limit_name(), Some("decompression_ratio_max"));
        }
    }
}
