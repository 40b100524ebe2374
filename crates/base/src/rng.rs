//! Randomness as a parameter.

/// A source of random bytes. The one the binary uses is the operating system's.
pub trait Rng: Send + Sync + 'static {
    /// Fills the whole buffer with unpredictable bytes.
    fn fill(&self, buffer: &mut [u8]);
}

impl dyn Rng + '_ {
    /// An array of random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }
}
