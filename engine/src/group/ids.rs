//! Member ids: what a client calls itself or its instance, then a number that is given once. They are told apart,
//! not secret.

use super::call::Name;

/// Odd, so that no number comes back, and far from 1, so that neighbours look different.
const STEP: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// See the module.
#[derive(Debug)]
pub(super) struct MemberIds(u128);

impl MemberIds {
    pub(super) fn new(salt: u128) -> Self {
        Self(salt)
    }

    /// An id in the form that clients know.
    pub(super) fn next(&mut self, called: &Name) -> Name {
        self.0 = self.0.wrapping_add(STEP);
        let hex = format!("{:032x}", self.0);
        let (a, b, c) = (&hex[..8], &hex[8..12], &hex[12..16]);
        let (d, e) = (&hex[16..20], &hex[20..]);
        format!("{called}-{a}-{b}-{c}-{d}-{e}").into()
    }
}
