//! Patches of a resource (`http.html#patch`): JSON Patch, XML Patch, and FHIRPath Patch.
//!
//! Each takes the text of a resource and gives the text of another; whether that one is still a
//! resource is for validation to say. Knows nothing of versions, permits or storage.

use base::Code;

use crate::outcome::Issue;

pub mod json;
pub mod path;
mod tree;
pub mod xml;

/// How much a patch may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Operations of one patch: limit `patch_operations_max`.
    pub operations_max: usize,
    /// Bytes that the resource may grow to: limit `body_bytes_max`.
    pub bytes_max: usize,
    /// Nesting of JSON: limit `json_depth_max`.
    pub depth_max: usize,
    /// Steps that the expressions of a patch may take.
    pub steps_max: u64,
    /// Bounds of XML.
    pub xml: crate::xml::Bounds,
}

/// The patch is no patch.
fn malformed(text: impl Into<String>) -> Issue {
    Issue::error(Code::PatchInvalid, text)
}

/// The patch does not fit the resource.
fn misfit(text: impl Into<String>) -> Issue {
    Issue::error(Code::PatchFailed, text)
}

fn too_large(max: usize) -> Issue {
    let text = format!("the patched resource is larger than {max} bytes");
    Issue::error(Code::LimitExceeded, text).limit("body_bytes_max")
}

fn too_many(max: usize) -> Issue {
    let text = format!("a patch has at most {max} operations");
    Issue::error(Code::LimitExceeded, text).limit("patch_operations_max")
}

#[cfg(test)]
mod tests;
