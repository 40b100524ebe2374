//! Writes the pages of the book that are made from code; run by `cargo xtask docs`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src");
    for (path, text) in server::pages::all() {
        std::fs::write(book.join(path), text)?;
    }
    Ok(())
}
