//! What requests run on: one runtime that serves, and one behind it for requests that bring much.

use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

/// Time that is left to what still runs at the end.
const LEAVE: Duration = Duration::from_millis(200);

/// Both. A large body that is taken apart on the threads that serve would hold up all that is small
/// behind it, whoever's it is.
#[derive(Debug)]
pub struct Runtimes {
    serving: Runtime,
    bulk: Runtime,
}

impl Runtimes {
    /// Starts them.
    ///
    /// # Errors
    /// No threads are to be had.
    pub fn start() -> std::io::Result<Self> {
        Ok(Self {
            serving: Builder::new_multi_thread()
                .enable_all()
                .on_thread_start(store::answer_soon)
                .build()?,
            bulk: Builder::new_multi_thread()
                .enable_all()
                .thread_name("bulk")
                .on_thread_start(store::stand_back)
                .build()?,
        })
    }

    /// Serves; what runs in bulk is begun on the handle.
    pub fn serve<F: Future>(self, work: impl FnOnce(Handle) -> F) -> F::Output {
        let done = self.serving.block_on(work(self.bulk.handle().clone()));
        self.bulk.shutdown_timeout(LEAVE);
        self.serving.shutdown_timeout(LEAVE);
        done
    }
}
