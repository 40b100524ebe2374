//! Bodies as they are stored: zstd frames made with a dictionary.
//!
//! Dictionary 0 is none. Numbers below 1000 ship with the program, one or more per version of
//! FHIR, and never change; each tenant keeps a copy of those it uses, so that its folder and key
//! are enough to read it.

use std::sync::LazyLock;

use fhir::definitions::FhirVersion;
use parking_lot::Mutex;
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

use super::fault::{Doing, damaged};
use crate::Result;

/// Dictionary 1: FHIR R4.
const R4_1: &[u8] = include_bytes!("../../dictionaries/r4-1.zdict");
const LEVEL: i32 = 3;

/// A dictionary that ships with the program.
pub(crate) fn shipped(dict: u32) -> Option<&'static [u8]> {
    (dict == 1).then_some(R4_1)
}

/// The dictionary new bodies of a version are packed with.
/// (Trained on R4, it serves the later ones as well: their resources are made of the same names.)
pub(crate) const fn newest(version: FhirVersion) -> u32 {
    match version {
        FhirVersion::R4 | FhirVersion::R4B | FhirVersion::R5 => 1,
    }
}

static ENCODE: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(R4_1, LEVEL));
static DECODE: LazyLock<DecoderDictionary<'static>> =
    LazyLock::new(|| DecoderDictionary::copy(R4_1));

/// Packs and unpacks bodies; keeps its contexts for reuse.
#[derive(Default)]
pub(crate) struct Codec {
    packers: Mutex<Vec<Compressor<'static>>>,
    unpackers: Mutex<Vec<Decompressor<'static>>>,
}

/// Contexts kept for reuse.
const KEPT_MAX: usize = 16;
/// No body is larger; a stored size beyond it is not one.
const BODY_BYTES_MAX: usize = 1 << 30;

impl Codec {
    /// Packs a body.
    pub(crate) fn pack(&self, version: FhirVersion, body: &[u8]) -> Result<(u32, Vec<u8>)> {
        let dict = newest(version);
        let kept = self.packers.lock().pop();
        let mut packer = match kept {
            Some(p) => p,
            None => Compressor::with_prepared_dictionary(&ENCODE).doing("packing a resource")?,
        };
        let packed = packer.compress(body).doing("packing a resource")?;
        let mut kept = self.packers.lock();
        if kept.len() < KEPT_MAX {
            kept.push(packer);
        }
        Ok((dict, packed))
    }

    /// Unpacks a body of a known size behind what `out` holds.
    pub(crate) fn unpack(
        &self,
        dict: u32,
        packed: &[u8],
        size: usize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        if dict != 1 || size > BODY_BYTES_MAX {
            return Err(damaged("a body names an unknown dictionary"));
        }
        let kept = self.unpackers.lock().pop();
        let mut unpacker = match kept {
            Some(u) => u,
            None => {
                Decompressor::with_prepared_dictionary(&DECODE).doing("unpacking a resource")?
            }
        };
        let start = out.len();
        out.resize(start + size, 0);
        let room = out.get_mut(start..).unwrap_or_default();
        let done = unpacker.decompress_to_buffer(packed, room);
        let mut kept = self.unpackers.lock();
        if kept.len() < KEPT_MAX {
            kept.push(unpacker);
        }
        match done {
            Ok(n) if n == size => Ok(()),
            _ => Err(damaged("a body cannot be unpacked")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_round_trip_and_damage_is_told() {
        let codec = Codec::default();
        let long = "x".repeat(1 << 20);
        for body in ["", "}", r#","profile":["a"]},"active":true}"#, &long] {
            let (dict, packed) = codec.pack(FhirVersion::R4, body.as_bytes()).unwrap();
            let mut out = b"head".to_vec();
            codec.unpack(dict, &packed, body.len(), &mut out).unwrap();
            assert_eq!(out.strip_prefix(b"head"), Some(body.as_bytes()));
            assert!(
                codec
                    .unpack(dict, &packed, body.len() + 1, &mut out)
                    .is_err()
            );
            assert!(
                codec
                    .unpack(dict + 1, &packed, body.len(), &mut out)
                    .is_err()
            );
        }
        assert!(codec.unpack(1, b"junk", 4, &mut Vec::new()).is_err());
    }

    #[test]
    fn the_shipped_dictionary_never_changes() {
        let digest = ring::digest::digest(&ring::digest::SHA256, R4_1);
        assert_eq!(super::super::folder::hex(digest.as_ref()), DIGEST_R4_1);
    }

    const DIGEST_R4_1: &str = "ed8354e2fa0cae0c525e98a41e0c0ea49a2af5f8e37a9b5aed2435403ea0b047";
}
