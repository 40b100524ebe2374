//! The server that most tests share, and the way to start others.

use std::path::Path;
use std::sync::{Arc, Mutex, Weak};

use testkit::process::Setup;
use testkit::{Folder, Tenant, World};

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_insula-under-test");

/// A server that runs as long as some test holds it.
pub(crate) fn shared() -> Arc<World> {
    static SHARED: Mutex<Weak<World>> = Mutex::new(Weak::new());
    let mut shared = SHARED
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let world = World::new("shared", |folder| setup(&folder.join("data")));
        *shared = Arc::downgrade(&world);
        world
    })
}

/// A new tenant of the shared server.
pub(crate) fn tenant() -> Tenant {
    shared().tenant()
}

/// A server on this data folder, not started yet.
pub(crate) fn setup(data: &Path) -> Setup {
    // All tests call from one address, and many of them with bad credentials.
    Setup::new(Path::new(PROGRAM), data).set("limits.failed_logins_per_minute_max", "1000000")
}

/// A server of its own on an empty folder, with these keys of the configuration.
pub(crate) fn own(name: &str, keys: &[(&str, &str)]) -> Arc<World> {
    World::new(name, |folder: &Folder| {
        keys.iter()
            .fold(setup(&folder.join("data")), |setup, (key, value)| {
                setup.set(key, value)
            })
    })
}
