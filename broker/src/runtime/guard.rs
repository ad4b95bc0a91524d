//! Ends the process when code that must not fail half-way unwinds.
//!
//! The panic's own message and place are on stderr already; codecs that may fail on a peer's
//! bytes catch their panics themselves, long before this.

/// Aborts the process if dropped by a panic. Names what was under way.
pub(super) struct AbortOnPanic(pub(super) &'static str);

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "leveret: {} panicked; the process ends, as a half-made change must not go on. \
                 Please report this with the lines above.",
                self.0
            );
            std::process::abort();
        }
    }
}
